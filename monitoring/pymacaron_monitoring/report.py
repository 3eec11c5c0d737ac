"""``pymacaron-report.json``, what the test plugin writes, as the gate reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, ValidationError

from pymacaron.exceptions import Finding, StartupError
from pymacaron.json_types import JsonObject

VERSION = 2

_RERUN = "Run the tests again with this version of pymacaron"


class ReportError(StartupError):
    """A test report cannot be used."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Failure(_Part):
    """A broken promise of the document. count: how often it was seen; curl: a line that shows it again."""

    operation_id: str | None = None
    check: str = ""
    promise: str = ""
    answer: str = ""
    place: str = ""
    curl: str = ""
    count: int = 1


class Rounds(_Part):
    """The same reading requests to two releases by turns: seconds of successful answers by round, and other answers."""

    candidate: tuple[tuple[PositiveFloat, ...], ...]
    baseline: tuple[tuple[PositiveFloat, ...], ...]
    candidate_errors: NonNegativeInt
    baseline_errors: NonNegativeInt


class Item(_Part):
    """One test. kind: ``contract`` or ``blackbox``; reason: why it failed or was skipped.

    rounds: of a comparison with another release.
    """

    nodeid: str
    kind: str
    operation_id: str | None = None
    outcome: Literal["passed", "failed", "error", "skipped", "not_run"]
    reason: str = ""
    failures: tuple[Failure, ...] = ()
    rounds: Rounds | None = None


class Document(_Part):
    """An OpenAPI document that was tested. text: as read."""

    name: str
    source: str
    text: str


class Metrics(_Part):
    """The target's ``/metrics`` page before and after the tests; None where there was none."""

    before: str | None = None
    after: str | None = None


class TestReport(_Part):
    """The whole report. exit_code: pytest's. baseline: URL of the release that was compared with, "" without."""

    __test__ = False  # no test class, whatever pytest thinks of its name

    target: str
    baseline: str = ""
    started_at: AwareDatetime
    duration_s: float
    documents: tuple[Document, ...]
    items: tuple[Item, ...]
    requests_sent: int = 0
    metrics: Metrics = Metrics()
    exit_code: int

    def get_age_s(self, now: datetime) -> float:
        """Return the seconds from the end of the tests to *now*."""
        return (now - self.started_at).total_seconds() - self.duration_s


def read_report(data: JsonObject) -> TestReport:
    """Read a report from its JSON. Raises ReportError with everything in it that is not as it should be."""
    version = data.get("version")
    if version != VERSION:
        found = f"version {version!r} is unknown" if "version" in data else "it names no version"
        raise ReportError(
            Finding("report#/version", found, f"This gate reads version {VERSION}: {_RERUN[0].lower()}{_RERUN[1:]}")
        )
    try:
        return TestReport.model_validate(data)
    except ValidationError as error:
        raise ReportError(
            [Finding("report#/" + "/".join(map(str, fault["loc"])), fault["msg"], _RERUN) for fault in error.errors()]
        ) from error
