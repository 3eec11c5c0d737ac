"""What the command line and pytest.ini ask for, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pymacaron.exceptions import Finding, StartupError
from pymacaron_testing.credentials import Credentials, read_header_line

if TYPE_CHECKING:
    import pytest

DEFAULT_REPORT = "pymacaron-report.json"
_SERVICE_FILES = ("server.py",)
_CONFIG_PATTERN = "pym-config*.yaml"


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of a run. folder: where pytest was started. target: URL, None: the service in *folder*."""

    folder: Path
    target: str | None
    spec: str | None
    auth: tuple[Credentials, ...]
    seed: int
    max_examples: int
    report: Path


def read_settings(config: pytest.Config) -> Settings:
    """Return the options of *config*. Raises StartupError with everything that is wrong in them."""
    findings: list[Finding] = []
    auth: list[Credentials] = []
    for line in config.getoption("pymacaron_auth") or ():
        try:
            auth.append(read_header_line(line, "It is the value of --pymacaron-auth"))
        except ValueError as error:
            fix = "Write --pymacaron-auth 'Authorization: Bearer …'"
            findings.append(Finding("--pymacaron-auth", str(error), fix))
    if config.getoption("pymacaron_max_examples") < 0:
        findings.append(Finding("--pymacaron-max-examples", "it is below 0", "Give the number of random cases"))
    if findings:
        raise StartupError(findings)
    target = config.getoption("pymacaron_target")
    folder = config.invocation_params.dir
    return Settings(
        folder=folder,
        target=target.rstrip("/") if target else None,
        spec=config.getoption("pymacaron_spec"),
        auth=tuple(auth),
        seed=config.getoption("pymacaron_seed"),
        max_examples=config.getoption("pymacaron_max_examples"),
        report=folder / config.getoption("pymacaron_report"),
    )


def holds_service(folder: Path) -> bool:
    """Tell whether *folder* is a service's: server.py, with apis/ or a pym-config.yaml beside it."""
    is_described = (folder / "apis").is_dir() or any(folder.glob(_CONFIG_PATTERN))
    return all((folder / name).is_file() for name in _SERVICE_FILES) and is_described
