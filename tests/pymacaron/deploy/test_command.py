"""What the commands say, and how they end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from images import require_engine
from noted_target import Bench, simplify
from pymacaron.config import load_config
from pymacaron.deploy.command import deploy, finish, go_back, leading, releases
from pymacaron.deploy.docker import DockerTarget
from pymacaron.deploy.journal import Journal, read_journals
from pymacaron.exceptions import Finding, TargetError
from pymacaron.json_types import JsonObject
from target_suite import write_marked_service


def refuse() -> TargetError:
    return TargetError(Finding("shift", "503 backend error", "Try later"))


@pytest.mark.parametrize(
    ("option", "code", "said"),
    [
        pytest.param("--dry-run", 0, "Go on with a deploy that has no image yet on docker, begun by ", id="dry run"),
        pytest.param(
            "--keep-failed", 2, "--resume goes on as the deploy was begun: leave the other options out.", id="k"
        ),
        pytest.param(
            "--image=shop", 2, "--resume goes on as the deploy was begun: leave the other options out.", id="i"
        ),
    ],
)
def test_resume_does_what_was_begun_or_nothing(option: str, code: int, said: str, tmp_path: Path) -> None:
    """--dry-run prints what is left; options that were chosen at the beginning are refused."""
    folder = write_marked_service(tmp_path / "marked", "one")
    with (folder / "pym-config.yaml").open("a") as file:
        file.write(f"deploy_target: docker\ndocker_folder: {tmp_path / 'state'}\n")
    shelf = DockerTarget(load_config(folder)).shelf()
    facts: JsonObject = {"steps": [{"name": "unit-tests", "summary": "run them"}], "baseline": None, "wishes": {}}
    Journal(shelf, "deploys/20260101-000000-abcd").write("plan", "done", facts)
    done = CliRunner().invoke(deploy, ["--folder", str(folder), "--resume", option])
    assert done.exit_code == code, done.output
    assert said in done.output
    assert [record.step for record in Journal(shelf, "deploys/20260101-000000-abcd").records] == ["plan"]


def test_a_refused_way_back_says_who_has_the_traffic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with exit code 1, is on record, and can be gone again."""
    bench = Bench(tmp_path)
    bench.deploy("one")
    prepared = bench.prepare("two")
    bench.target.refusals["shift"] = [None, refuse(), refuse(), refuse(), refuse()]
    with pytest.raises(SystemExit) as ended, leading(bench.pipeline):
        finish(prepared)
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "the way back: it stopped at restore: shift: 503 backend error. Try later. Traffic now: one 50 %, two 50 %. "
        "Run 'pymacaron rollback' to try it again.\n"
    )
    journal = next(read_journals(bench.target.shelf()))
    assert (journal.records[-1].step, journal.records[-1].state) == ("restore", "failed")
    unfinished = bench.pipeline.find_unfinished()
    assert unfinished
    assert go_back(simplify(unfinished), "rollback was asked for")
    assert bench.live == {"one": 100}
    assert capsys.readouterr().err == "Back at one\n"


def test_a_way_back_that_is_refused_for_a_moment_is_gone_again(tmp_path: Path) -> None:
    """One error of a provider's API leaves nobody with a bad release."""
    bench = Bench(tmp_path)
    bench.deploy("one")
    prepared = bench.prepare("two")
    bench.target.refusals["shift"] = [None, refuse(), RuntimeError("connection lost")]
    assert prepared.run() == "rolled back"
    assert bench.live == {"one": 100}
    assert "Going back is refused, trying again in 0 s: connection lost" in bench.told


def test_a_release_that_is_gone_is_started_again_to_go_back_to(tmp_path: Path) -> None:
    """Going back does not end at a release that was lost meanwhile: its image is known."""
    bench = Bench(tmp_path)
    bench.deploy("one")
    prepared = bench.prepare("two")
    bench.target.refusals["shift"] = [None, refuse()]
    told = prepared.actions["shift-"]

    def lose(deploy: object, step: object) -> object:
        try:
            return told(deploy, step)  # type: ignore[arg-type]
        finally:
            if bench.target.refusals["shift"] == []:
                del bench.target.placed["one"]

    prepared.actions["shift-"] = lose  # type: ignore[assignment]
    assert prepared.run() == "rolled back"
    assert bench.live == {"one": 100}


def test_the_first_release_has_nobody_to_go_back_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever asks for it is told that it keeps the traffic."""
    bench = Bench(tmp_path)
    prepared = bench.prepare("one")
    prepared.actions["bake"] = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        prepared.run()
    unfinished = bench.pipeline.find_unfinished()
    assert unfinished
    assert not go_back(simplify(unfinished), "rollback was asked for")
    assert capsys.readouterr().err == "one keeps the traffic, as the first release\n"
    assert bench.live == {"one": 100}


def test_the_log_of_what_failed_is_shown_before_it_is_gone(tmp_path: Path) -> None:
    """Its last lines say why; they are read once the traffic is back."""
    bench = Bench(tmp_path)
    bench.deploy("one")
    bench.target.log = [f"line {number}" for number in range(30)]
    prepared = bench.prepare("two")
    prepared.actions["bake"] = lambda *_: (_ for _ in ()).throw(refuse())
    assert prepared.run() == "rolled back"
    assert [line for line in bench.told if line.startswith("  | ")] == [
        f"  | line {number}" for number in range(10, 30)
    ]
    assert bench.target.told[-3:] == [("shift", "one", 100), ("logs", "two"), ("retire", "two")]


def test_the_configuration_of_production_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PYM_ENV it is the file that the image has too, and secrets that are elsewhere are no fault."""
    require_engine()
    monkeypatch.delenv("PYM_ENV", raising=False)
    monkeypatch.delenv("SHOP_JWT_SECRET", raising=False)
    (tmp_path / "pym-config.yaml").write_text("name: shop\ndeploy_target: no-such-target\n")
    settings = f"name: shop\ndeploy_target: docker\ndocker_folder: {tmp_path / 'state'}\n"
    secrets = "env_secrets: [SHOP_JWT_SECRET]\njwt_secret: SHOP_JWT_SECRET\n"
    (tmp_path / "pym-config.prod.yaml").write_text(settings + secrets)
    done = CliRunner().invoke(releases, ["--folder", str(tmp_path)])
    assert (done.exit_code, done.output) == (0, "Nothing was deployed yet.\n")


def test_a_way_back_that_is_terminated_goes_back(tmp_path: Path) -> None:
    """TERM is heard as Ctrl-C, by a rollback as by a deploy."""
    bench = Bench(tmp_path)
    bench.deploy("one", "two")
    returning = simplify(bench.pipeline.return_to("one"))
    returning.actions["shift-"] = lambda *_: os.kill(os.getpid(), signal.SIGTERM) or {}  # type: ignore[func-returns-value]
    with pytest.raises(SystemExit) as ended, leading(bench.pipeline):
        finish(returning)
    assert ended.value.code == 130
    assert bench.live == {"two": 100}
