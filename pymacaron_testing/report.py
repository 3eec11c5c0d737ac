"""The outcome of a run as data: pymacaron-report.json, version 2."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pymacaron_testing.coverage import list_unseen_answers, summarise_coverage
from pymacaron_testing.files import write_whole

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron.spec import Api

VERSION = 2
Outcome = Literal["passed", "failed", "error", "skipped", "not_run"]
Kind = Literal["contract", "blackbox"]
_OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "error", "skipped", "not_run")
_WORST_FIRST: tuple[Outcome, ...] = ("error", "failed", "skipped", "passed")
_SHOWN = 5
CONTRACT_MARK = "::contract::"


@dataclass(slots=True)
class ItemResult:
    """What became of one pytest item.

    reason: why it was skipped or not run. requests: sent while it ran. gaps: what could not be checked although the
    rest was, with reasons. flaky: what was seen once and not again. rounds: of `Rounds.to_dict`, None where no requests
    were sent by turns.
    """

    nodeid: str
    kind: Kind
    operation_id: str | None = None
    outcome: Outcome = "not_run"
    reason: str = ""
    duration_s: float = 0.0
    requests: int = 0
    failures: list[JsonObject] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    flaky: list[str] = field(default_factory=list)
    rounds: JsonObject | None = None

    def worsen(self, outcome: Outcome) -> None:
        """Take in the outcome of a phase: the worst one counts."""
        if self.outcome == "not_run" or _WORST_FIRST.index(outcome) < _WORST_FIRST.index(self.outcome):
            self.outcome = outcome

    def to_dict(self) -> JsonObject:
        """Return the form of the report."""
        return {
            "nodeid": self.nodeid,
            "kind": self.kind,
            "operation_id": self.operation_id,
            "outcome": self.outcome,
            "reason": self.reason,
            "duration_s": round(self.duration_s, 4),
            "requests": self.requests,
            "failures": self.failures,
            "gaps": self.gaps,
            "flaky": self.flaky,
            **({"rounds": self.rounds} if self.rounds else {}),
        }


@dataclass(slots=True)
class Report:
    """Collects what happens in a run; `to_dict` gives the whole at any time.

    coverage: entries of `Coverage.to_list`. users: how many there were to ask as. baseline: URL of the
    release to compare with, "" without.
    """

    target: str = ""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    documents: list[JsonObject] = field(default_factory=list)
    items: dict[str, ItemResult] = field(default_factory=dict)
    requests_sent: int = 0
    metrics_before: str | None = None
    metrics_after: str | None = None
    profile: str = "full"
    seed: int = 0
    users: int = 0
    baseline: str = ""
    coverage: list[JsonObject] = field(default_factory=list)

    def expect(self, nodeids: Iterable[str]) -> None:
        """Note items that are to run; they stay ``not_run`` until their result comes."""
        for nodeid in nodeids:
            self.find_item(nodeid)

    def find_item(self, nodeid: str) -> ItemResult:
        """Return the result of an item, made when first asked for."""
        kind: Kind = "contract" if CONTRACT_MARK in nodeid else "blackbox"
        return self.items.setdefault(nodeid, ItemResult(nodeid, kind))

    def to_dict(self, exit_code: int) -> JsonObject:
        """Return the report as JSON data; its shape is documented in docs/testing.md."""
        items = list(self.items.values())
        counts: Mapping[str, int] = {name: sum(item.outcome == name for item in items) for name in _OUTCOMES}
        return {
            "version": VERSION,
            "pymacaron": version("pymacaron"),
            "target": self.target,
            "baseline": self.baseline,
            "started_at": self.started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "duration_s": round((datetime.now(UTC) - self.started_at).total_seconds(), 3),
            "profile": self.profile,
            "seed": self.seed,
            "users": self.users,
            "documents": self.documents,
            "items": [item.to_dict() for item in items],
            "summary": counts,
            "requests_sent": self.requests_sent,
            "coverage": self.coverage,
            "metrics": {"before": self.metrics_before, "after": self.metrics_after},
            "exit_code": exit_code,
        }


def describe_document(api: Api, source: str) -> JsonObject:
    """Return the report's entry of a document."""
    return {
        "name": api.name,
        "source": source,
        "sha256": api.sha256,
        "title": api.title,
        "version": api.version,
        "text": api.text,
    }


def summarise(report: Report) -> list[str]:
    """Return what the end of a run says of what was seen and what was not, lines for people."""
    seen = summarise_coverage(report.coverage)
    words = {"operations": "operations succeeded", "answers": "declared answers", "enum_members": "enum members"}
    parts = [f"{seen[name][0]} of {seen[name][1]} {text}" for name, text in words.items() if seen[name][1]]
    lines = [f"seen: {', '.join(parts)}"] if parts else []
    never = list_unseen_answers(report.coverage)
    if never:
        more = f" and {len(never) - _SHOWN} more" if len(never) > _SHOWN else ""
        lines.append(f"warning: documented but never seen: {', '.join(never[:_SHOWN])}{more}")
    idle = sum(item.outcome in {"skipped", "not_run"} for item in report.items.values())
    partly = sum(bool(item.gaps) for item in report.items.values() if item.outcome not in {"skipped", "not_run"})
    if idle or partly:
        lines.append(f"not checked: {idle} items, and parts of {partly}; the report has the reasons")
    return lines


def write_report(report: JsonObject, path: Path) -> None:
    """Write the report, whole or not at all."""
    write_whole(path, json.dumps(report, ensure_ascii=False, indent=1) + "\n")
