"""Tests of a release that runs: pytest in a process of its own, and the documents that it is made from."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pymacaron.exceptions import Finding, TargetError
from pymacaron.json_types import JsonObject
from pymacaron.spec import Api, parse_spec

_STOP_TIMEOUT_S = 15.0
_SHOWN_LINES = 40
UNIT_FOLDERS = ("tests", "test")


class TrialTimeoutError(TargetError):
    """Tests did not end in time, and were stopped; ``lines`` are the last ones of their output."""

    def __init__(self, time_s: float, lines: Sequence[str]) -> None:
        """Take the seconds that they had, and the *lines*."""
        fix = "Correct the one that hangs, or set deploy_test_time"
        super().__init__(Finding("the tests", f"they did not end within {time_s:g} s", fix))
        self.lines = tuple(lines)


@dataclass(frozen=True, slots=True)
class Trial:
    """How the tests ended. report: what the plugin wrote, None if it did not. lines: the last ones of the output."""

    exit_code: int
    report: JsonObject | None
    lines: tuple[str, ...] = ()

    def find_failure(self) -> str:
        """Return the first failure as a sentence, "" if there is none in the report."""
        for item in (self.report or {}).get("items", ()):
            for failure in item.get("failures", ()):
                operation = failure.get("operation_id") or item.get("nodeid")
                text = f"{operation}: promised: {failure.get('promise')}; answered: {failure.get('answer')}"
                return " ".join(text.split())
            if item.get("outcome") in {"failed", "error"}:
                reason = str(item.get("reason") or item["outcome"]).strip().splitlines()
                return f"{item.get('nodeid')}: {reason[0] if reason else 'failed'}"
        return ""


def find_unit_tests(folder: Path) -> Path | None:
    """Return the folder of tests that need no running service, None if there is none."""
    return next((folder / name for name in UNIT_FOLDERS if (folder / name).is_dir()), None)


@dataclass(frozen=True, slots=True)
class Examiner:
    """Runs tests of the service in *folder*. time_s: what a run may take. environment: more variables of the tests.

    All methods raise TrialTimeoutError.
    """

    folder: Path
    time_s: float
    environment: Mapping[str, str] = field(default_factory=dict)

    def run_unit_tests(self, tests: Path) -> Trial:
        """Run the tests in *tests*."""
        return self._run_pytest(["-q", str(tests)], None)

    def run_contract_tests(self, target: str, report: Path, *options: str) -> Trial:
        """Test the service at *target* with the service's tests and its documents; write the *report*.

        options: more of pytest's.
        """
        report.unlink(missing_ok=True)
        report.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["--pymacaron", f"--pymacaron-target={target}", f"--pymacaron-report={report}", "-q", *options]
        return self._run_pytest(arguments, report)

    def _run_pytest(self, arguments: Sequence[str], report: Path | None) -> Trial:
        direct = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
        environment = {**os.environ, **direct, **self.environment}
        command = [sys.executable, "-m", "pytest", "--no-header", "-p", "no:cacheprovider", *arguments]
        with subprocess.Popen(  # noqa: S603 - our own command
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # a group of its own; Ctrl-C reaches only us
        ) as process:
            try:
                output, _ = process.communicate(timeout=self.time_s)
            except subprocess.TimeoutExpired:
                _stop_group(process)
                output, _ = process.communicate()
                raise TrialTimeoutError(self.time_s, output.splitlines()[-_SHOWN_LINES:]) from None
            except BaseException:
                _stop_group(process)
                raise
        data = None
        if report and report.exists():
            with contextlib.suppress(ValueError):
                data = json.loads(report.read_text(encoding="utf-8"))
        return Trial(process.returncode, data, tuple(output.splitlines()[-_SHOWN_LINES:]))


def _stop_group(process: subprocess.Popen[str]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_TIMEOUT_S)
            return


def read_own_documents(folder: Path) -> list[Api]:
    """Return the documents in *folder*, the service's ``apis``. Raises: SpecError."""
    files = sorted(file for file in folder.glob("*.yaml") if not file.name.endswith("_models.yaml"))
    return [parse_spec(file.read_text(encoding="utf-8"), source=str(file), name=file.stem) for file in files]
