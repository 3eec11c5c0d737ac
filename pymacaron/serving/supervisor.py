"""Keeps the workers of a service: starts them, replaces them without a gap, ends them."""

from __future__ import annotations

import contextlib
import gc
import logging
import math
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess

from pymacaron.exceptions import Finding, StartupError
from pymacaron.log_spool import LogSpool, LogWriter
from pymacaron.serving.companion import Companion
from pymacaron.serving.messages import Order, Ready, Refused, Worn
from pymacaron.serving.settings import Settings
from pymacaron.serving.worker import serve_app

log = logging.getLogger(__name__)

_EARLY_S = 5.0  # a worker that dies sooner is not replaced at once
_EARLY_ENDS = 3  # in a row, before a worker served, that tell of the app and not of who sent the signal
_LONGEST_PAUSE_S = 30.0
_KILL_MARGIN_S = 2.0
LINES_PAUSE_S = 0.03  # that lines of the log wait for others to be written together with
_LAST_LINES_S = 5.0  # that a stream has to take the last ones
_LINES_WAIT, _LINES_ABOUND = 0, 255  # beside the numbers of signals
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


@dataclass(eq=False, slots=True)
class _Member:
    """A worker as its supervisor sees it.

    place: number of the socket that it accepts from. generation: of the code that it loaded. replaces: who leaves when
    it serves. kill_at: when it must have ended. spool: the lines of its log.
    """

    process: ForkProcess
    pipe: Connection
    place: int
    generation: int
    spool: LogSpool | None
    replaces: _Member | None = None
    born: float = field(default_factory=time.monotonic)
    is_serving: bool = False
    is_leaving: bool = False
    kill_at: float | None = None

    def order(self, order: Order, timeout_s: float) -> None:
        """Tell the worker to end; it is killed after that time."""
        self.is_leaving = True
        self.kill_at = time.monotonic() + timeout_s + _KILL_MARGIN_S
        with contextlib.suppress(OSError):  # it is dead already
            self.pipe.send(order)


class Supervisor:
    """Serves *target* with a worker on each of *listeners*, until a signal ends it.

    TERM and INT stop the service, HUP replaces all workers, one after the other, by new ones that load the app again.
    A new worker that cannot is told in the log and the old ones stay.
    """

    def __init__(
        self,
        target: str,
        listeners: Sequence[socket.socket],
        settings: Settings,
        companion: Companion | None = None,
    ) -> None:
        """Prepare; nothing is started yet. listeners: bound; a worker that is ready listens.

        companion: started when all workers serve, and stopped and replaced with them.

        They stay open here as long as the service runs, so that a connection that waits is lost with no worker.
        """
        self._target = target
        self._listeners = listeners
        self._settings = settings
        self._companion = companion
        self._members: list[_Member] = []
        self._worn: list[_Member] = []
        self._generation = 0
        self._is_started = False
        self._is_stopping = False
        self._early_ends = 0
        self._pause_s = 0.0
        self._paused_until = 0.0
        self._pid = os.getpid()
        self._wake, self._waker = os.pipe()
        self._lines = LogWriter()
        self._lines_at: float | None = None
        self._last_spools: list[LogSpool] = []

    def run(self) -> None:
        """Serve until a signal ends it. Raises: StartupError: no worker can load the app."""
        os.set_blocking(self._waker, False)
        os.set_blocking(self._wake, False)
        old = {number: signal.signal(number, self._note) for number in _SIGNALS}
        gc.freeze()  # what was loaded so far is shared with the workers; looking for garbage in it would copy it
        try:
            while not (self._is_stopping and not self._members):
                self._tend()
                self._wait()
                self._write_lines()
        finally:
            self._kill(self._members)
            if self._companion is not None:
                self._companion.close()
            self._write_last_lines()
            for number, handler in old.items():
                signal.signal(number, handler)
            os.close(self._wake)
            os.close(self._waker)

    def _note(self, number: int, _frame: object) -> None:
        if os.getpid() == self._pid:  # else a worker that has just been forked
            with contextlib.suppress(BlockingIOError):
                os.write(self._waker, bytes([number]))

    def _wait(self) -> None:
        """Wait for the next signal, report or death, and heed it."""
        pipes = {member.pipe: member for member in self._members}
        lines = self._companion.lines if self._companion is not None else []
        ready = wait([self._wake, *lines, *pipes], self._find_pause())
        for source in ready:
            if isinstance(source, Connection):
                self._hear(pipes[source])
        if self._wake in ready:
            for number in os.read(self._wake, 64):
                self._heed(number)

    def _find_pause(self) -> float | None:
        now = time.monotonic()
        times = [member.kill_at for member in self._members if member.kill_at]
        if self._lines_at is not None:
            times.append(self._lines_at)
        if self._paused_until > now:
            times.append(self._paused_until)
        if self._companion is not None and self._companion.wake_at is not None:
            times.append(self._companion.wake_at)
        return max(0.0, min(times) - now) if times else None

    def _heed(self, number: int) -> None:
        if number in {_LINES_WAIT, _LINES_ABOUND}:
            pause_s = LINES_PAUSE_S if number == _LINES_WAIT else 0.0
            self._lines_at = min(self._lines_at or math.inf, time.monotonic() + pause_s)
        elif number == signal.SIGCHLD:
            for member in [member for member in self._members if not member.process.is_alive()]:
                self._bury(member)
        elif number == signal.SIGHUP:
            log.info("Reloading: each worker is replaced by one that loads %s again", self._target)
            self._generation += 1
            self._paused_until = 0.0
            if self._companion is not None:
                self._companion.reload()
        elif self._is_stopping:
            self._kill(self._members)
        else:
            self._is_stopping = True
            if self._companion is not None:
                self._companion.stop()
            for member in self._members:
                if member.is_serving:
                    member.order(Order.STOP, self._settings.stop_timeout_s)
                else:
                    member.process.kill()

    def _hear(self, member: _Member) -> bool:
        """Heed a worker's next report; return whether there was one."""
        try:
            report = member.pipe.recv()
        except (EOFError, OSError):
            return False  # it ends
        if isinstance(report, Refused):
            self._refuse(member, report.findings)
        elif isinstance(report, Worn) and not member.is_leaving and member not in self._worn:
            log.warning("Worker %d is replaced: %s", member.process.pid, report.reason)
            self._worn.append(member)
        elif isinstance(report, Ready):
            self._welcome(member)
        return True

    def _welcome(self, member: _Member) -> None:
        member.is_serving = True
        self._early_ends = 0
        old = member.replaces
        if self._is_started:
            log.info("Worker %d serves%s", member.process.pid, f" in place of {old.process.pid}" if old else "")
        if not self._is_started and sum(other.is_serving for other in self._members) >= len(self._listeners):
            self._is_started = True
            if self._companion is not None:
                self._companion.start()
        if old in self._members and old is not None and not old.is_leaving:
            self._pause_s = 0.0
            old.order(Order.LEAVE, self._settings.linger_s + self._settings.replaced_timeout_s)

    def _refuse(self, member: _Member, findings: Sequence[Finding]) -> None:
        """Go on without a worker that cannot load the app, or not at all."""
        self._drop(member)
        if self._is_stopping:
            return
        rest = [other for other in self._members if other.is_serving and not other.is_leaving]
        if not self._is_started or not rest:
            raise StartupError(findings)
        for finding in findings:
            log.error("A new worker cannot start, the old ones stay: %s", finding)
        self._worn = []
        for other in rest:
            other.generation = self._generation
        self._back_off()

    def _bury(self, member: _Member) -> None:
        """Heed that a worker's process has ended; what it reported before goes first."""
        while member in self._members and member.pipe.poll() and self._hear(member):
            pass
        if member not in self._members:
            return
        if not member.is_serving:
            self._mourn(member)
            return
        self._drop(member)
        if not (member.is_leaving or self._is_stopping):
            log.error("Worker %d ended by itself, with code %s", member.process.pid, member.process.exitcode)
            if time.monotonic() - member.born < _EARLY_S:
                self._back_off()
            else:
                self._pause_s = 0.0

    def _mourn(self, member: _Member) -> None:
        """Heed a worker's end before it served: a signal is not the app's doing, unless it comes each time."""
        code = member.process.exitcode or 0
        self._early_ends += 1
        if code < 0 and self._early_ends < _EARLY_ENDS and not self._is_stopping:
            log.error("Worker %d ended before it served, with code %s", member.process.pid, code)
            self._drop(member)
            self._back_off()
            return
        if code < 0:
            problem = f"a signal ({-code}) ends each worker before it serves"
        else:
            problem = "the app ends the process that imports it"
        self._refuse(member, [Finding(self._target, problem, "Run python -c 'import server'")])

    def _back_off(self) -> None:
        """Start no worker for a while, longer each time in a row."""
        self._pause_s = min(max(1.0, self._pause_s * 2), _LONGEST_PAUSE_S)
        self._paused_until = time.monotonic() + self._pause_s

    def _drop(self, member: _Member) -> None:
        self._kill([member])
        self._members.remove(member)
        member.pipe.close()
        if member.spool is not None and not self._lines.write_out(member.spool):
            self._last_spools.append(member.spool)
            self._lines_at = time.monotonic()

    def _tend(self) -> None:
        """Start what is missing, replace what is worn or old, one at a time; kill what does not end."""
        now = time.monotonic()
        if self._companion is not None:
            self._companion.tend()
        self._kill([member for member in self._members if member.kill_at and member.kill_at <= now])
        if self._is_stopping or now < self._paused_until:
            return
        staying = [member for member in self._members if not member.is_leaving]
        coming = [member for member in staying if not member.is_serving]
        missing = set(range(len(self._listeners))) - {member.place for member in staying}
        for place in sorted(missing):
            self._start(place)
        if missing or coming:
            return
        self._worn = [member for member in self._worn if member in staying]
        old = next((member for member in staying if member.generation < self._generation), None)
        old = old or next(iter(self._worn), None)
        if old:
            self._start(old.place, old)

    def _start(self, place: int, replaces: _Member | None = None) -> None:
        context = multiprocessing.get_context("fork")
        here, there = context.Pipe()
        spool = None if os.isatty(2) else LogSpool(self._call_for_lines)  # people compare lines with what is printed
        arguments = (self._target, self._listeners[place], self._settings, there, spool)
        process = context.Process(target=serve_app, args=arguments, name="pymacaron-worker")
        process.start()
        there.close()
        self._members.append(_Member(process, here, place, self._generation, spool, replaces))

    def _call_for_lines(self, is_urgent: bool) -> None:  # noqa: FBT001 - a seam of one argument
        """Ask the supervisor, from a worker, to write lines."""
        with contextlib.suppress(OSError):  # it has not heeded thousands of calls, or is gone
            os.write(self._waker, bytes([_LINES_ABOUND if is_urgent else _LINES_WAIT]))

    def _write_lines(self) -> None:
        """Write the lines of all workers if it is time for that, and look again a little later if there were any."""
        if self._lines_at is None or self._lines_at > time.monotonic():
            return
        spools = [*self._last_spools, *(member.spool for member in self._members if member.spool is not None)]
        busy = [spool for spool in spools if spool.has_lines]
        slow = [spool for spool in busy if not self._lines.write_out(spool)]
        self._last_spools = [spool for spool in self._last_spools if spool in slow]
        self._lines_at = time.monotonic() + LINES_PAUSE_S if busy else None

    def _write_last_lines(self) -> None:
        end = time.monotonic() + _LAST_LINES_S
        spools = [*self._last_spools, *(member.spool for member in self._members if member.spool is not None)]
        while (spools := [one for one in spools if not self._lines.write_out(one)]) and time.monotonic() < end:
            time.sleep(LINES_PAUSE_S)
        self._lines.close()

    def _kill(self, members: Sequence[_Member]) -> None:
        for member in members:
            if member.process.is_alive():
                if member.kill_at:
                    log.warning("Worker %d is killed: it did not end in time", member.process.pid)
                member.process.kill()
            member.process.join()
            member.kill_at = None
