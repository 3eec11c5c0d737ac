"""What the command line and pytest.ini ask for, checked."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from pymacaron.exceptions import Finding, StartupError
from pymacaron_testing.auth_file import FileUser, read_auth_file
from pymacaron_testing.credentials import Credentials, read_header_line
from pymacaron_testing.options import DEFAULT_METRICS_PATH, DEFAULT_PAIRS, PROFILES, read_option

if TYPE_CHECKING:
    import pytest

Profile = Literal["live", "quick", "full"]
_SERVICE_FILES = ("server.py",)
_CONFIG_PATTERN = "pym-config*.yaml"


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of a run.

    folder: where pytest was started. target: URL, or what to start; None: the service in *folder*. ready: what a
    started target answers when it is. users: the credentials of each. file_users: more of them, who may have to log
    in. refused: those that the target must refuse. jwt_secret: signs the target's tokens. max_time_s: for all contract
    items. max_latency_ms: for each answer; of both None for no limit. baseline: URL of another
    release to compare with, None without. pairs: requests that each of the two gets of a reading operation.
    metrics_path: of the target's page of metrics. metrics_token: what that page asks for, None if nothing.
    """

    folder: Path
    target: str | None
    ready: str
    spec: str | None
    users: tuple[tuple[Credentials, ...], ...]
    file_users: tuple[FileUser, ...]
    refused: tuple[Credentials, ...]
    jwt_secret: str | None
    profile: Profile
    max_time_s: float | None
    max_latency_ms: float | None
    seed: int
    max_examples: int
    report: Path
    baseline: str | None = None
    pairs: int = DEFAULT_PAIRS
    metrics_path: str = DEFAULT_METRICS_PATH
    metrics_token: str | None = None


def read_settings(config: pytest.Config) -> Settings:
    """Return the options of *config*. Raises StartupError with everything that is wrong in them."""
    reader = _Reader(config)
    folder = config.invocation_params.dir
    target = reader.text("target")
    profile = reader.text("profile") or "full"
    if profile not in PROFILES:
        reader.find("profile", f"{profile!r} is none", f"Write one of {', '.join(PROFILES)}")
    settings = Settings(
        folder=folder,
        target=target.rstrip("/") if target else None,
        ready=reader.text("ready") or "/",
        spec=reader.text("spec"),
        users=group_users(reader.header_lines("auth")),
        file_users=reader.file_users(folder),
        refused=reader.header_lines("refused"),
        jwt_secret=reader.variable("jwt-secret-env"),
        profile=cast("Profile", profile),
        max_time_s=reader.number("max-time", "number of seconds", lambda value: 0 < value < math.inf),
        max_latency_ms=reader.number("max-latency", "number of milliseconds", lambda value: 0 < value < math.inf),
        seed=int(reader.number("seed", "whole number") or 0),
        max_examples=int(reader.number("max-examples", "number of random cases", lambda value: value >= 0) or 0),
        report=folder / (reader.text("report") or ""),
        baseline=(reader.text("baseline") or "").rstrip("/") or None,
        pairs=int(reader.number("pairs", "number of requests", lambda value: value >= 1) or DEFAULT_PAIRS),
        metrics_path=reader.path("metrics-path"),
        metrics_token=reader.variable("metrics-token-env"),
    )
    if reader.findings:
        raise StartupError(reader.findings)
    return settings


class _Reader:
    """Reads options and gathers what is wrong with them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.findings: list[Finding] = []

    def find(self, name: str, found: str, fix: str) -> None:
        """Note what is wrong with an option."""
        self.findings.append(Finding(f"--pymacaron-{name}", found, fix))

    def text(self, name: str) -> str | None:
        """Return the option's text."""
        value = read_option(self._config, name)
        return None if value is None else str(value)

    def path(self, name: str) -> str:
        """Return the option's path below the target's URL."""
        path = self.text(name) or ""
        if not path.startswith("/"):
            self.find(name, f"{path!r} is no path", f"Write {DEFAULT_METRICS_PATH}, or where it is")
        return path

    def number(self, name: str, words: str, fits: Callable[[float], bool] = lambda _: True) -> float | None:
        """Return the option's number. words: what it is. fits: tells which ones are allowed."""
        try:
            value = cast("float | None", read_option(self._config, name))
        except ValueError:
            self.find(name, "it is no number", f"Give the {words}")
            return None
        if value is not None and not fits(value):
            self.find(name, "it is below 0" if value < 0 else f"it is {value:g}", f"Give the {words}")
        return value

    def header_lines(self, name: str) -> tuple[Credentials, ...]:
        """Return the credentials that an option gives."""
        found: list[Credentials] = []
        for line in cast("tuple[str, ...]", read_option(self._config, name)):
            try:
                found.append(read_header_line(line, f"It is the value of --pymacaron-{name}"))
            except ValueError as error:
                self.find(name, str(error), f"Write --pymacaron-{name} 'Authorization: Bearer …'")
        return tuple(found)

    def file_users(self, folder: Path) -> tuple[FileUser, ...]:
        """Return the users of the auth file."""
        name = self.text("auth-file")
        try:
            return read_auth_file(folder / name) if name else ()
        except StartupError as error:
            self.findings += error.findings
            return ()

    def variable(self, name: str) -> str | None:
        """Return the value of the environment variable that an option names."""
        variable = self.text(name)
        if variable is None:
            return None
        value = os.environ.get(variable)
        if not value:
            self.find(name, f"the environment variable {variable} is not set", "Set it, or leave the option out")
        return value


def group_users(lines: tuple[Credentials, ...]) -> tuple[tuple[Credentials, ...], ...]:
    """Return the credentials of each user: a line for what the current user has already begins the next one."""
    users: list[list[Credentials]] = []
    for line in lines:
        if not users or any(line.slot == other.slot for other in users[-1]):
            users.append([])
        users[-1].append(line)
    return tuple(map(tuple, users))


def holds_service(folder: Path) -> bool:
    """Tell whether *folder* is a service's: server.py, with apis/ or a pym-config.yaml beside it."""
    is_described = (folder / "apis").is_dir() or any(folder.glob(_CONFIG_PATTERN))
    return all((folder / name).is_file() for name in _SERVICE_FILES) and is_described
