"""A process beside the workers is started, replaced, started again and ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from pymacaron.serving import Companion

READY = """
import os, pathlib, signal, socket, sys, time
pathlib.Path("runs").open("a").write(f"{os.getpid()}\\n")
if pathlib.Path("broken").exists():
    sys.exit(2)
line = socket.socket(fileno=int(os.environ["PYMACARON_PARENT_FD"]))
line.sendall(b"1")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0) if not pathlib.Path("stubborn").exists() else None)
while True:
    time.sleep(0.05)
"""


def _make(folder: Path, stop_timeout_s: float = 5.0) -> Companion:
    return Companion([sys.executable, "-c", READY], folder, {}, stop_timeout_s=stop_timeout_s)


def _tend_until(companion: Companion, is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_done():
        assert time.monotonic() < deadline
        companion.tend()
        time.sleep(0.02)


def _runs(folder: Path) -> list[int]:
    file = folder / "runs"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_it_is_replaced_by_one_that_is_ready(tmp_path: Path) -> None:
    """The old one ends when the new one is ready; one that cannot start leaves it where it is."""
    companion = _make(tmp_path)
    companion.start()
    _tend_until(companion, lambda: bool(_runs(tmp_path)) and not companion.lines)
    companion.reload()
    _tend_until(companion, lambda: len(_runs(tmp_path)) == 2 and not _is_alive(_runs(tmp_path)[0]))
    (tmp_path / "broken").touch()
    companion.reload()
    _tend_until(companion, lambda: len(_runs(tmp_path)) == 3 and not companion.lines)
    assert _is_alive(_runs(tmp_path)[1])
    companion.close()
    assert not any(map(_is_alive, _runs(tmp_path)))


def test_it_is_started_again_later_and_later(tmp_path: Path) -> None:
    """One that ends at once is started again after a pause that grows."""
    (tmp_path / "broken").touch()
    companion = _make(tmp_path)
    companion.start()
    _tend_until(companion, lambda: companion.wake_at is not None)
    assert companion.wake_at is not None
    assert 0 < companion.wake_at - time.monotonic() <= 1
    _tend_until(companion, lambda: len(_runs(tmp_path)) == 2 and companion.wake_at is not None)
    assert 1 < companion.wake_at - time.monotonic() <= 2
    companion.close()
