"""Where the service is: a URL that was given, or a process started from the service's folder for this run."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import requests

from pymacaron.exceptions import Finding, TargetError
from pymacaron_testing.options import DEFAULT_METRICS_PATH
from pymacaron_testing.service_log import find_trace
from pymacaron_testing.session import TargetSession, join_url
from pymacaron_testing.wire import explain

READY_LIMIT_S = 60.0
_POLL_S = 0.1
_STOP_LIMIT_S = 10.0
_KEPT_LINES = 5000
_LOG_DELAY_S = 0.3
_SHOWN_LINES = 20
_PROBE_TIMEOUT_S = 5.0
_METRICS_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Target:
    """The service under test. url: without a slash at its end. is_own: this run started it."""

    url: str
    is_own: bool = False

    def __str__(self) -> str:
        """Return the URL."""
        return self.url


class ServiceProcess:
    """A service that was started from its folder, with the last lines that it printed."""

    def __init__(
        self,
        command: list[str],
        folder: Path,
        url: str,
        environment: dict[str, str] | None = None,
        *,
        at_end: list[str] | None = None,
    ) -> None:
        """Start *command* in *folder*; it is stopped by `stop`, at the latest when Python ends.

        at_end: command that clears away what the process leaves behind.
        """
        self.url = url
        self._at_end = at_end
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._process = subprocess.Popen(  # noqa: S603 - our own command line, or the tester's
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches pytest only, which stops the service after its tests
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read_lines, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        atexit.register(self.stop)

    def _read_lines(self, stream: IO[str]) -> None:
        with contextlib.suppress(ValueError):  # the stream was closed by `stop`
            for line in stream:
                self._lines.append(line.rstrip("\n"))

    @property
    def is_running(self) -> bool:
        """Tell whether the process lives."""
        return self._process.poll() is None

    def last_lines(self) -> list[str]:
        """Return what the service printed last."""
        return list(self._lines)[-_SHOWN_LINES:]

    def find_trace(self, request_id: str) -> str:
        """Return what the service logged of a request beyond one line, a traceback; empty if nothing comes soon."""
        deadline = time.monotonic() + _LOG_DELAY_S
        while True:
            trace = find_trace(list(self._lines), request_id)
            if trace or time.monotonic() > deadline:
                return trace
            time.sleep(_LOG_DELAY_S / 10)

    def wait_until_ready(self, path: str, limit_s: float = READY_LIMIT_S) -> None:
        """Return when GET *path* is answered below 500.

        Raises: TargetError: the process ended, or *limit_s* went by; with its last lines.
        """
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if not self.is_running:
                self._reader.join(1)
                raise self._error(f"it ended with code {self._process.returncode} before it answered")
            if _answers(join_url(self.url, path)):
                return
            time.sleep(_POLL_S)
        raise self._error(f"it did not answer GET {path} within {limit_s:g} s")

    def _error(self, found: str) -> TargetError:
        command = " ".join(map(str, self._process.args)) if isinstance(self._process.args, list) else ""
        lines = "".join(f"\n    {line}" for line in self.last_lines()) or " nothing"
        return TargetError(
            Finding(
                command,
                found,
                f"Run the command yourself to see more; the last lines that it printed are:{lines}\n",
            )
        )

    def stop(self) -> None:
        """End the process and its children: politely first."""
        atexit.unregister(self.stop)
        if self.is_running:
            self._signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self._process.wait()
        self._signal(signal.SIGKILL)  # children that the service left behind
        if self._at_end:
            subprocess.run(self._at_end, capture_output=True, check=False)  # noqa: S603 - our own command line
            self._at_end = None
        self._reader.join(1)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def check_target(url: str) -> None:
    """Raise TargetError if nobody answers HTTP at *url*."""
    fix = "Start it, or leave --pymacaron-target out to test the service in this folder"
    if not url.startswith(("http://", "https://")):
        fix = "Write http://host:port, cmd:COMMAND or docker:IMAGE"
        raise TargetError(Finding("--pymacaron-target", f"{url!r} is no URL", fix))
    try:
        with TargetSession(url, timeout_s=_PROBE_TIMEOUT_S) as probe:
            probe.knock(url)
    except requests.RequestException as error:
        raise TargetError(Finding(url, f"it does not answer ({explain(error)})", fix)) from error


def read_metrics(url: str, path: str = DEFAULT_METRICS_PATH, token: str | None = None) -> str | None:
    """Return the target's page of metrics at *path*; None if it has none, or not for who has *token*."""
    try:
        with TargetSession(url, timeout_s=_METRICS_TIMEOUT_S) as probe:
            response = probe.ask(path, headers={"Authorization": f"Bearer {token}"} if token else None)
    except requests.RequestException:
        return None
    is_text = response.headers.get("Content-Type", "").startswith(("text/plain", "application/openmetrics-text"))
    return response.text if response.ok and is_text else None


def find_free_port() -> int:
    """Return a port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with TargetSession(url, timeout_s=1) as probe:
            return probe.ask(url).status_code < 500  # noqa: PLR2004
    except requests.RequestException:
        return False
