from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pymacaron.deploy.folder_shelf import FolderShelf
from pymacaron.deploy.lock import KEY, Lock, LockedError
from pymacaron.deploy.target import ShelfConflict

_TAKE = """
import os, sys
from pathlib import Path
from pymacaron.deploy.folder_shelf import FolderShelf
from pymacaron.deploy.lock import Lock
Lock(FolderShelf(Path(sys.argv[1])), 3600, print).take()
os._exit(0)
"""


def test_a_second_deploy_is_told_who_deploys(tmp_path: Path) -> None:
    """The lock is taken once; the other one learns by whom, since when and until when."""
    shelf, told = FolderShelf(tmp_path), list[str]()
    first, second = Lock(shelf, 60, told.append), Lock(shelf, 60, told.append)
    first.take()
    with pytest.raises(LockedError, match=r"the lock: \S+@\S+ deploys since \S+; the lock ends at \S+ if unused\."):
        second.take()
    first.check()
    first.release()
    second.take()
    second.release()
    assert shelf.get(KEY) is None
    assert told == []


def test_a_lock_that_nobody_renews_is_taken(tmp_path: Path) -> None:
    """An expired lock goes to the next one, who says whose it was."""
    shelf, told = FolderShelf(tmp_path), list[str]()
    ended = datetime.now(UTC) - timedelta(seconds=1)
    held = {"owner": "ada@elsewhere", "host": "elsewhere", "pid": 1, "started": "x", "since": "noon"}
    shelf.put(KEY, json.dumps({**held, "expires": ended.isoformat()}).encode(), None)
    lock = Lock(shelf, 60, told.append)
    lock.take()
    lock.release()
    assert told == ["Took the lock of ada@elsewhere since noon: it was not renewed"]


def test_a_lock_of_a_killed_process_is_taken_at_once(tmp_path: Path) -> None:
    """On the same machine one need not wait for the lock of a process that is gone."""
    subprocess.run([sys.executable, "-c", _TAKE, str(tmp_path)], check=True)
    told = list[str]()
    lock = Lock(FolderShelf(tmp_path), 60, told.append)
    lock.take()
    lock.release()
    assert len(told) == 1
    assert told[0].endswith(": its process on this machine is gone")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"started": "00000000-0000-0000-0000-000000000000 1"}, id="another machine"),
        pytest.param({"namespace": "pid:[1]"}, id="another container"),
    ],
)
def test_a_lock_of_another_machine_of_that_name_is_kept(other: dict[str, str], tmp_path: Path) -> None:
    """A process that cannot be seen from here is not gone: names of machines are not their own."""
    subprocess.run([sys.executable, "-c", _TAKE, str(tmp_path)], check=True)
    shelf = FolderShelf(tmp_path)
    data, tag = shelf.get(KEY) or pytest.fail("there is no lock")
    shelf.put(KEY, json.dumps({**json.loads(data), **other}).encode(), tag)
    with pytest.raises(LockedError, match=r"^the lock: \S+ deploys since "):
        Lock(shelf, 60, print).take()


def test_a_broken_lock_is_named(tmp_path: Path) -> None:
    """What is no lock is told as that, with what to do."""
    shelf = FolderShelf(tmp_path)
    shelf.put(KEY, b"{", None)
    with pytest.raises(LockedError, match=r"^the lock: what is written there is no lock\. Remove it "):
        Lock(shelf, 60, print).take()


def test_a_lock_is_renewed_and_its_loss_is_seen(tmp_path: Path) -> None:
    """It does not expire while it is held; whoever lost it is stopped before the next step."""
    shelf = FolderShelf(tmp_path)
    lock = Lock(shelf, 0.3, print)
    lock.take()
    first = shelf.get(KEY)
    time.sleep(1)
    found = shelf.get(KEY)
    assert first
    assert found
    assert json.loads(found[0])["expires"] > json.loads(first[0])["expires"]
    assert json.loads(found[0])["pid"] == os.getpid()
    _steal(shelf)
    assert _find_loss(lock) == (
        "the lock: somebody else took it, because it was not renewed in time. "
        "Look at 'pymacaron releases' before anything else."
    )
    lock.release()
    assert shelf.get(KEY) is not None, "it is not ours to remove"


def _steal(shelf: FolderShelf) -> None:
    """Write another lock, though the holder may renew it in between."""
    for _ in range(100):
        latest = shelf.get(KEY)
        assert latest
        with contextlib.suppress(ShelfConflict):
            shelf.put(KEY, b"{}", latest[1])
            return


def _find_loss(lock: Lock) -> str:
    """Return what the holder is told once it has lost the lock."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            lock.check()
        except LockedError as error:
            return str(error)
        time.sleep(0.05)
    return ""
