"""Journals on shelves and disks that fail."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from noted_target import Bench
from pymacaron.deploy.folder_shelf import FolderShelf
from pymacaron.deploy.journal import Journal, JournalError
from pymacaron.deploy.lock import Lock, LockedError
from pymacaron.deploy.release import Deploy
from pymacaron.deploy.target import Shelf, ShelfConflict
from pymacaron.exceptions import Finding

KEY = "deploys/20261127-180000-abcd"


class UnansweredShelf:
    """A shelf whose writes are done, and end with *error* as often as *times* says: their answers are lost."""

    def __init__(self, shelf: Shelf, error: BaseException, times: int = 1) -> None:
        """Take the shelf behind it."""
        self._shelf = shelf
        self._error = error
        self.times = times
        self.get, self.keys = shelf.get, shelf.keys

    def put(self, key: str, data: bytes, tag: str | None) -> str:
        """Write, and say so or not."""
        written = self._shelf.put(key, data, tag)
        if self.times:
            self.times -= 1
            raise self._error
        return written

    def delete(self, key: str, tag: str) -> None:
        """Remove."""
        self._shelf.delete(key, tag)


def conflict() -> ShelfConflict:
    return ShelfConflict(Finding("the shelf", "another one wrote it meanwhile", "Read it again"))


def list_steps(shelf: Shelf) -> list[str]:
    return [record.step for record in Journal(shelf, KEY).records]


def test_a_clients_second_try_meets_its_first(tmp_path: Path) -> None:
    """A provider's client that writes again because the answer was lost finds its own record: no conflict."""
    shelf = FolderShelf(tmp_path)
    journal = Journal(UnansweredShelf(shelf, conflict()), KEY)
    for step in ("plan", "stage"):
        journal.write(step, "done")
    assert list_steps(shelf) == ["plan", "stage"]


def test_an_interrupted_write_is_known_again(tmp_path: Path) -> None:
    """Ctrl-C between a write and its answer does not make the next one a conflict, nor does a record get lost."""
    shelf = FolderShelf(tmp_path)
    journal = Journal(UnansweredShelf(shelf, KeyboardInterrupt(), times=2), KEY)
    for step in ("plan", "stage"):
        with pytest.raises(KeyboardInterrupt):
            journal.write(step, "done")
    journal.write("back", "begin")
    assert list_steps(shelf) == ["plan", "stage", "back"]


def test_somebody_elses_record_is_a_conflict(tmp_path: Path) -> None:
    """Two processes that lead the same deploy never overwrite each other, lost answers or not."""
    shelf = FolderShelf(tmp_path)
    journal = Journal(UnansweredShelf(shelf, OSError("connection lost")), KEY)
    with pytest.raises(JournalError, match=r"^the journal: it cannot be written \(connection lost\)\. "):
        journal.write("plan", "done")
    Journal(shelf, KEY).write("back", "begin")
    with pytest.raises(ShelfConflict):
        journal.write("stage", "begin")
    assert list_steps(shelf) == ["plan", "back"]


def test_a_lock_survives_lost_answers(tmp_path: Path) -> None:
    """It is renewed and given back though no write of it was answered."""
    shelf = FolderShelf(tmp_path)
    lock = Lock(UnansweredShelf(shelf, conflict(), times=100), 0.3, print)
    lock.take()
    first = shelf.get("lock")
    while shelf.get("lock") == first:
        lock.check()
    lock.check()
    lock.release()
    assert shelf.get("lock") is None


class FullShelf(FolderShelf):
    """A shelf that takes nothing with *refused* in it, as if the disk had become full by then."""

    def __init__(self, folder: Path, refused: str = "") -> None:
        """Take where it lies; "" is no text."""
        super().__init__(folder)
        self.refused = refused.encode()

    def put(self, key: str, data: bytes, tag: str | None) -> str:
        """Write, if there is room."""
        if self.refused and self.refused in data:
            raise OSError(28, "No space left on device")
        return super().put(key, data, tag)


def test_a_lock_that_ran_out_is_held_until_somebody_takes_it(tmp_path: Path) -> None:
    """A disk that is full for longer than a lock lasts does not keep a deploy from leading back."""
    shelf, told = FullShelf(tmp_path), list[str]()
    lock, other = Lock(shelf, 0.3, print), Lock(FolderShelf(tmp_path), 60, told.append)
    lock.take()
    shelf.refused = b"owner"
    time.sleep(1.5)
    lock.check()
    other.take()
    assert told[-1].endswith(": it was not renewed")
    with pytest.raises(LockedError, match=r"^the lock: it could not be renewed \(OSError\)\. "):
        lock.check()
    lock.release()
    other.check()
    other.release()


def test_text_with_strange_line_ends_is_one_record(tmp_path: Path) -> None:
    """Facts may hold whatever Python splits lines at."""
    shelf = FolderShelf(tmp_path)
    facts = {"verdict": "fail:\u2028 one\u0085two\x1cthree"}
    Journal(shelf, KEY).write("tests", "done", facts)
    assert Journal(shelf, KEY).facts == facts


def test_a_broken_journal_is_named(tmp_path: Path) -> None:
    """What is no journal is told with its place, not with a stack."""
    shelf = FolderShelf(tmp_path)
    shelf.put(KEY, b'{"time": "now"}\n', None)
    with pytest.raises(JournalError, match=rf"^{KEY}: what is written there is no journal of a deploy .*\. Mend it, "):
        Journal(shelf, KEY)


def test_the_copy_to_read_may_fail(tmp_path: Path) -> None:
    """A service's folder that cannot be written to keeps nobody from deploying."""
    (tmp_path / ".pym").write_text("a file where the folder would be")
    bench = Bench(tmp_path)
    bench.deploy("one")
    assert bench.live == {"one": 100}


def prepare_on_full_shelf(bench: Bench, refused: str) -> Deploy:
    bench.target.wrap = lambda _: FullShelf(bench.target.folder / "shelf", refused)
    return bench.prepare("two")


def test_a_journal_that_cannot_be_written_leads_back(tmp_path: Path) -> None:
    """A candidate that nobody can record does not keep its share of the traffic."""
    bench = Bench(tmp_path)
    bench.deploy("one")
    assert prepare_on_full_shelf(bench, '"shift-50", "state": "done"').run() == "rolled back"
    assert bench.live == {"one": 100}
    assert any("No space left on device" in line for line in bench.told)


@pytest.mark.parametrize("state", ["begin", "done"])
def test_a_judged_release_stays_live_though_its_journal_cannot_be_ended(state: str, tmp_path: Path) -> None:
    """Once it is judged, records that are missing are for --resume to write."""
    bench = Bench(tmp_path)
    bench.deploy("one")
    assert prepare_on_full_shelf(bench, f'"retire", "state": "{state}"').run() == "live"
    assert bench.live["two"] == 100
    assert bench.told[-1].endswith("It is live all the same; 'pymacaron deploy --resume' ends the deploy")
