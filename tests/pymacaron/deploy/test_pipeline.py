"""Deploys one after the other: what they find of those before."""

from __future__ import annotations

from pathlib import Path

import pytest

from noted_target import Bench
from parcels import commit
from pymacaron.deploy.image_source import find_commit
from pymacaron.deploy.journal import MOST_JOURNALS, PREFIX, Journal
from pymacaron.deploy.wishes import Wishes
from pymacaron.exceptions import ConfigError, Finding, TargetError


def test_going_back_twice_goes_back_further(tmp_path: Path) -> None:
    """A release that somebody went back from is never what the next way back leads to."""
    bench = Bench(tmp_path)
    bench.deploy("one", "two", "three")
    assert [bench.go_back(), bench.go_back()] == ["two", "one"]
    with pytest.raises(ConfigError, match=r"^rollback: there is no earlier release\. "):
        bench.go_back()
    assert bench.live == {"one": 100}


def test_a_release_that_is_deployed_after_the_way_back_leads_to_the_one_it_replaced(tmp_path: Path) -> None:
    """The history goes on from where somebody went back to; a release deployed anew is a new one."""
    bench = Bench(tmp_path)
    bench.deploy("one", "two")
    bench.go_back()
    bench.deploy("three", "one")
    assert [bench.go_back(), bench.go_back()] == ["three", "one"]


def test_any_release_that_was_live_can_be_named(tmp_path: Path) -> None:
    """Whoever names a version gets it, whatever was deployed or left since."""
    bench = Bench(tmp_path)
    bench.deploy("one", "two", "three")
    bench.go_back()
    assert bench.pipeline.return_to("three").release.version == "three"


def test_a_way_back_to_a_version_waits_for_a_deploy_that_is_not_finished(tmp_path: Path) -> None:
    """Its candidate and its journal would be left for ever."""
    bench = Bench(tmp_path)
    bench.deploy("one", "two")
    unfinished = bench.prepare("three")
    with pytest.raises(ConfigError, match=r"^deploy: an earlier deploy is not finished\. "):
        bench.pipeline.return_to("one")
    assert unfinished.roll_back("asked for") == "failed"
    assert bench.pipeline.return_to("one").release.version == "one"


def test_what_cannot_be_removed_is_left_for_the_next_deploy(tmp_path: Path) -> None:
    """A good release stays live whatever happens to the one before, which the next deploy removes."""
    bench = Bench(tmp_path)
    bench.deploy("one")
    bench.target.refusals["retire"] = [TargetError(Finding("one", "Rate exceeded", "Wait"))]
    bench.deploy("two")
    assert bench.live == {"one": 0, "two": 100}
    assert bench.told[-1] == "one is left over, for the next deploy to remove: one: Rate exceeded. Wait."
    bench.deploy("three")
    assert bench.live == {"three": 100}


def test_a_failed_candidate_that_cannot_be_removed_is_left_for_the_next_deploy(tmp_path: Path) -> None:
    """It has no traffic, so that the release that mends it need not wait."""
    bench = Bench(tmp_path)
    bench.deploy("one")
    failing = bench.prepare("two")
    bench.target.refusals = {"shift": [RuntimeError("connection lost")], "retire": [RuntimeError("busy")]}
    assert failing.run() == "rolled back"
    assert bench.live == {"one": 100, "two": 0}
    assert bench.told[-1] == "two is left over, for the next deploy to remove: RuntimeError: busy"
    bench.deploy("three")
    assert bench.live == {"three": 100}


def test_an_old_release_that_has_traffic_is_gone_back_to(tmp_path: Path) -> None:
    """Somebody gave it traffic by hand while the new one was watched: that is no matter of tidying."""
    bench = Bench(tmp_path)
    bench.deploy("one")
    deploy = bench.prepare("two")
    deploy.actions["bake"] = lambda *_: {"by hand": str(bench.target.shift("two", "one", 50))}  # type: ignore[func-returns-value]
    assert deploy.run() == "rolled back"
    assert bench.live == {"one": 100}


def test_deploys_of_long_ago_are_forgotten(tmp_path: Path) -> None:
    """The newest hundred stay, so that listing them does not take longer with every year."""
    bench = Bench(tmp_path)
    bench.deploy("zero")
    shelf = bench.target.shelf()
    for number in range(105):
        shelf.put(f"{PREFIX}20200101-{number:06}", b"", None)
    bench.deploy("one")
    keys = shelf.keys(PREFIX)
    assert (len(keys), keys[0]) == (MOST_JOURNALS, f"{PREFIX}20200101-000007")
    assert Journal(shelf, keys[-1]).outcome == "live"


@pytest.mark.parametrize("image", ["@sha256:" + "0" * 64, "a shop@sha256:" + "0" * 64, "shop@sha256:" + "0" * 63])
def test_an_image_without_its_digest_is_refused(image: str, tmp_path: Path) -> None:
    """Whatever is no name with a digest is told as that."""
    with pytest.raises(ConfigError, match=r"^--image: .* names no image by its digest\. Write repository@sha256:…\.$"):
        Bench(tmp_path).pipeline.describe(Wishes(image))


def test_what_is_left_of_a_deploy_is_told(tmp_path: Path) -> None:
    """Steps that are done are left out, and nothing is begun."""
    bench = Bench(tmp_path)
    bench.deploy("one")
    deploy = bench.prepare("two")
    for step in deploy.steps[:6]:
        deploy.journal.write(step.name, "done")
    before = Journal(bench.target.shelf(), deploy.journal.key).records
    first, *steps = bench.pipeline.describe_rest()
    assert first.startswith("Go on with the deploy of two on noted, begun by ")
    assert [step.split(":")[0].strip() for step in steps] == ["shift-50", "shift-100", "bake", "retire"]
    assert Journal(bench.target.shelf(), deploy.journal.key).records == before
    deploy.journal.write("back", "begin", {"reason": "asked for"})
    assert bench.pipeline.describe_rest()[1:] == ["  It is on its way back: one gets all traffic"]


def test_a_folder_at_another_commit_is_told(tmp_path: Path) -> None:
    """Tests that are left would be those of other code."""
    folder = tmp_path / "shop"
    folder.mkdir()
    commit(folder, "first")
    bench = Bench(folder)
    bench.prepare("one")
    assert not any("This folder is at" in line for line in bench.pipeline.describe_rest())
    before = find_commit(folder).revision
    (folder / "server.py").write_text("")
    commit(folder, "second")
    told = f"{find_commit(folder).revision[:7]}, the deploy of {before[:7]}"
    assert bench.pipeline.describe_rest()[1] == f"  This folder is at {told}: its tests may not fit"


def test_a_lock_that_cannot_be_given_back_is_told(tmp_path: Path) -> None:
    """What was deployed is live whatever becomes of the lock, which ends by itself."""
    bench = Bench(tmp_path)
    pipeline = bench.pipeline
    with pipeline.holding():
        (tmp_path / "state" / "shelf" / "lock").write_text("{}")
    assert bench.told[-1].startswith("The lock is not given back, and ends in 60 s: ")
