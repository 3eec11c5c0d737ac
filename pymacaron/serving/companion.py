"""A process beside the workers of a service: the one that runs its tasks."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

PARENT_VARIABLE = "PYMACARON_PARENT_FD"
"""Names the socket over which a companion tells that it is ready, and whose end tells it that its parent is gone."""
_LONGEST_PAUSE_S = 30.0
_EARLY_S = 5.0
_KILL_MARGIN_S = 5.0


@dataclass(eq=False, slots=True)
class _Run:
    process: subprocess.Popen[bytes]
    line: socket.socket
    born: float
    is_ready: bool = False
    kill_at: float | None = None

    def is_over(self) -> bool:
        return self.process.poll() is not None

    def stop(self, timeout_s: float) -> None:
        if self.kill_at is None and not self.is_over():
            self.process.terminate()
            self.kill_at = time.monotonic() + timeout_s + _KILL_MARGIN_S


class Companion:
    """Keeps one process of *command* running in *folder*: starts it again when it ends, replaces it when told.

    What changes, it changes when `tend` is called: at `wake_at`, when one of `lines` can be read, and after SIGCHLD.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], *, stop_timeout_s: float
    ) -> None:
        """Take what to run; nothing is started yet. stop_timeout_s: that it has after TERM."""
        self._command = list(command)
        self._folder = folder
        self._environment = dict(environment)
        self._stop_timeout_s = stop_timeout_s
        self._current: _Run | None = None
        self._coming: _Run | None = None
        self._leaving: list[_Run] = []
        self._is_wanted = False
        self._start_at = 0.0
        self._pause_s = 0.0

    def start(self) -> None:
        """Want it from now on."""
        self._is_wanted = True
        self.tend()

    def reload(self) -> None:
        """Replace it by a new one, once that is ready; one that cannot start leaves the old one where it is."""
        if self._is_wanted and self._current is not None and self._coming is None:
            self._coming = self._run()

    def stop(self) -> None:
        """Tell it to end."""
        self._is_wanted = False
        for run in (self._current, self._coming):
            if run is not None:
                run.stop(self._stop_timeout_s)
                self._leaving.append(run)
        self._current = self._coming = None

    def close(self) -> None:
        """Wait until it has ended; it is killed if it does not in time."""
        self.stop()
        while self._leaving:
            self.tend()
            time.sleep(0.02)

    @property
    def lines(self) -> list[socket.socket]:
        """Return what can be read when something has changed."""
        return [run.line for run in (self._current, self._coming) if run is not None and not run.is_ready]

    @property
    def wake_at(self) -> float | None:
        """Return when to call `tend` at the latest, of `time.monotonic`."""
        times = [run.kill_at for run in self._leaving if run.kill_at is not None]
        if self._is_wanted and self._current is None:
            times.append(self._start_at)
        return min(times, default=None)

    def tend(self) -> None:
        """Heed what has changed."""
        for run in (self._current, self._coming):
            if run is not None and not run.is_ready:
                self._listen(run)
        now = time.monotonic()
        for run in self._leaving:
            if run.kill_at is not None and run.kill_at <= now and not run.is_over():
                log.warning("The worker of tasks %d is killed: it did not end in time", run.process.pid)
                run.process.kill()
        for run in [run for run in self._leaving if run.is_over()]:
            self._leaving.remove(run)
            run.line.close()
        self._mind_coming()
        if self._current is not None and self._current.is_over():
            self._bury(self._current)
        if self._is_wanted and self._current is None and now >= self._start_at:
            self._current = self._run()

    def _mind_coming(self) -> None:
        coming = self._coming
        if coming is None:
            return
        if coming.is_ready:
            if self._current is not None:
                self._current.stop(self._stop_timeout_s)
                self._leaving.append(self._current)
            self._current, self._coming = coming, None
        elif coming.is_over():
            log.error("A new worker of tasks cannot start, the old one stays")
            coming.line.close()
            self._coming = None

    def _bury(self, run: _Run) -> None:
        log.error("The worker of tasks ended by itself, with code %s", run.process.returncode)
        run.line.close()
        self._current = None
        is_early = time.monotonic() - run.born < _EARLY_S
        self._pause_s = min(max(1.0, self._pause_s * 2), _LONGEST_PAUSE_S) if is_early else 0.0
        self._start_at = time.monotonic() + self._pause_s

    def _listen(self, run: _Run) -> None:
        try:
            run.is_ready = run.line.recv(1) == b"1"
        except BlockingIOError:
            return
        except OSError:
            run.is_ready = False

    def _run(self) -> _Run:
        here, there = socket.socketpair()
        with there:
            process = subprocess.Popen(  # noqa: S603 - this package's own command
                self._command,
                cwd=self._folder,
                env={**os.environ, **self._environment, PARENT_VARIABLE: str(there.fileno())},
                pass_fds=[there.fileno()],
                start_new_session=True,  # a terminal's signals come to the server, which passes them on
            )
        here.setblocking(False)  # noqa: FBT003 - positional only
        return _Run(process, here, time.monotonic())
