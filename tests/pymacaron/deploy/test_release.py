from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from images import Registry, require_engine
from killed_deploys import Bench, Kill, open_bench
from pymacaron.config import load_config
from pymacaron.deploy.command import deploy, releases, rollback
from pymacaron.deploy.docker import DockerTarget
from pymacaron.deploy.journal import Journal, read_journals
from target_suite import ask, traffic, write_marked_service

KILLS = (
    Kill("push", "done", "before", "resume"),
    Kill("shift-50", "begin", "after", "rollback"),
)


@pytest.fixture(scope="module")
def bench(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Give a service that is live on the docker target."""
    require_engine()
    with open_bench(tmp_path_factory.mktemp("released"), registry) as one:
        yield one


def test_a_killed_deploy_goes_on_or_back_and_clients_see_nothing(bench: Bench) -> None:
    """Wherever kill -9 hits, resume completes and rollback restores, and every request is answered meanwhile."""
    with traffic(bench.target.live_url, 20) as seen:
        assert [bench.go_through(kill) for kill in KILLS] == ["", ""]
    assert seen["failed"] == 0
    assert ask(bench.target.live_url) == bench.live
    outcomes = [journal.outcome for journal in read_journals(bench.target.shelf())]
    assert outcomes == ["rolled back", "live", "live"]


def test_releases_are_listed(bench: Bench) -> None:
    """Each deploy stands there with how it ended, and what has traffic now."""
    done = CliRunner().invoke(releases, ["--folder", str(bench.folder), "--json"])
    told = json.loads(done.output)
    assert done.exit_code == 0
    assert {one["outcome"] for one in told} <= {"live", "rolled back"}
    image = bench.target.current()[0].release.image
    assert {one["share"] for one in told if one["image"] == image} == {100}


def test_a_plan_changes_nothing(bench: Bench) -> None:
    """--dry-run names every step, and what is there stays."""
    before = bench.target.current()
    image = before[0].release.image
    done = CliRunner().invoke(deploy, ["--folder", str(bench.folder), "--dry-run", "--image", image])
    assert done.exit_code == 0, done.output
    assert f"Now live: {before[0].release.version}" in done.output
    assert "7. shift-50: give it 50 % of the traffic" in done.output
    assert bench.target.current() == before


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        pytest.param(deploy, ["--resume"], "--resume: no deploy is unfinished.", id="nothing to resume"),
        pytest.param(deploy, ["--image", "shop:latest"], "names no image by its digest", id="an image by tag"),
        pytest.param(rollback, ["20990101-000000-none"], "20990101-000000-none was never live", id="unknown version"),
    ],
)
def test_bad_input_is_refused(command: Callable[..., object], arguments: list[str], said: str, tmp_path: Path) -> None:
    """What cannot be done is said before anything is."""
    folder = write_marked_service(tmp_path / "marked", "one")
    with (folder / "pym-config.yaml").open("a") as file:
        file.write(f"deploy_target: docker\ndocker_folder: {tmp_path / 'state'}\n")
    require_engine()
    done = CliRunner().invoke(command, ["--folder", str(folder), *arguments])  # type: ignore[arg-type]
    assert done.exit_code != 0
    assert said in str(done.exception)
    assert DockerTarget(load_config(folder)).current() == []


def test_an_unfinished_deploy_comes_first(tmp_path: Path) -> None:
    """A new deploy is refused until the one before is led on or back."""
    require_engine()
    folder = write_marked_service(tmp_path / "marked", "one")
    with (folder / "pym-config.yaml").open("a") as file:
        file.write(f"deploy_target: docker\ndocker_folder: {tmp_path / 'state'}\n")
    shelf = DockerTarget(load_config(folder)).shelf()
    Journal(shelf, "deploys/20260101-000000-abcd").write("plan", "done", {"steps": [], "baseline": None})
    image = f"127.0.0.1:1/marked@sha256:{'0' * 64}"
    done = CliRunner().invoke(deploy, ["--folder", str(folder), "--image", image])
    assert str(done.exception).startswith("deploy: an earlier deploy is not finished.")
    assert CliRunner().invoke(rollback, ["--folder", str(folder)]).exit_code == 0
    assert Journal(shelf, "deploys/20260101-000000-abcd").outcome == "failed"
    assert shelf.get("lock") is None
