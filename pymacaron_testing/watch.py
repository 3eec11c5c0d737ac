"""Runs the tests again whenever a file of the service changes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

SUFFIXES = frozenset(
    {".py", ".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".js", ".ts", ".mjs", ".cjs", ".html", ".sql"}
)
_PASSED_OVER = frozenset({"__pycache__", "node_modules", "venv", "build", "dist"})
_PERIOD_S = 0.4
_STOP_LIMIT_S = 15.0

Snapshot = Mapping[str, tuple[int, int]]


def take_snapshot(folder: Path, *, but: frozenset[str] = frozenset()) -> Snapshot:
    """Return time of change and size of each file of a service, by its path. but: names of files that do not count."""
    return {
        str(path): (status.st_mtime_ns, status.st_size)
        for path, status in _walk(folder)
        if path.suffix in SUFFIXES and path.name not in but
    }


def _walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _PASSED_OVER and not name.startswith(".")]
        for name in names:
            path = Path(root, name)
            try:
                yield path, path.stat()
            except OSError:  # it went away in this moment
                continue


def list_changes(before: Snapshot, after: Snapshot) -> list[str]:
    """Return the paths that came, went or changed, sorted."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def watch(command: list[str], folder: Path, say: Callable[[str], None], *, but: frozenset[str] = frozenset()) -> None:
    """Run *command* now and after each change in *folder*, until Ctrl-C; a change during a run begins it anew.

    say: is told what happens, a line for people.
    """
    seen = take_snapshot(folder, but=but)
    while True:
        # A session of its own: Ctrl-C is for this process, which lets the run end in its own way.
        running = subprocess.Popen(command, cwd=folder, start_new_session=True)  # noqa: S603 - our own command line
        try:
            changes = _await_change(folder, seen, but, running, say)
        finally:
            _stop(running)
        seen = take_snapshot(folder, but=but)
        shown = os.path.relpath(changes[0], folder)
        say(f"{shown}{f' and {len(changes) - 1} more' if len(changes) > 1 else ''} changed")


def _await_change(
    folder: Path, seen: Snapshot, but: frozenset[str], running: subprocess.Popen[bytes], say: Callable[[str], None]
) -> list[str]:
    has_said = False
    while True:
        changes = list_changes(seen, take_snapshot(folder, but=but))
        if changes:
            return changes
        if not has_said and running.poll() is not None:
            has_said = True
            say("waiting for a change of the service's files; Ctrl-C ends")
        time.sleep(_PERIOD_S)


def _stop(running: subprocess.Popen[bytes]) -> None:
    if running.poll() is not None:
        return
    running.send_signal(signal.SIGTERM)
    try:
        running.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
