"""The outcome of a gate: pass, fail or undecided, with every reason in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pymacaron.json_types import JsonObject
from pymacaron_monitoring.verdict_files import render_html, render_junit

Level = Literal["fail", "undecided", "note", "pass"]
Outcome = Literal["pass", "fail", "undecided"]

_LEVELS: tuple[Level, ...] = ("fail", "undecided", "note", "pass")
_EXIT_CODES: Mapping[Outcome, int] = {"pass": 0, "fail": 1, "undecided": 2}


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that was judged.

    text: a sentence with its numbers. operation: ``GET /pets/{id}``, None if it is about more than one. numbers: the
    same as data; of a share ``hits``, ``total``, ``allowed``, ``lower``, ``upper`` and ``needed`` (requests that would
    decide; None if none would). curl: a line that shows a broken promise again. note: was not judged, and why.
    """

    level: Level
    text: str
    operation: str | None = None
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    curl: str = ""

    def to_json(self) -> JsonObject:
        """Return the reason as JSON: its fields by name."""
        return {
            "level": self.level,
            "text": self.text,
            "operation": self.operation,
            "numbers": dict(self.numbers),
            "curl": self.curl,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, and why. A verdict without any reason is undecided: nothing was judged."""

    reasons: tuple[Reason, ...]

    @property
    def outcome(self) -> Outcome:
        """``fail`` if anything failed; else ``undecided`` if anything is; else ``pass``."""
        levels = {reason.level for reason in self.reasons}
        if "fail" in levels:
            return "fail"
        return "undecided" if "undecided" in levels or "pass" not in levels else "pass"

    @property
    def exit_code(self) -> int:
        """0 for pass, 1 for fail, 2 for undecided."""
        return _EXIT_CODES[self.outcome]

    @property
    def sentence(self) -> str:
        """The outcome and its first reason: ``fail: GET /pets/{id}: 40 of 212 requests over 300 ms (and 2 more)``."""
        wanted: Level = self.outcome
        texts = [reason.text for reason in self.reasons if reason.level == wanted]
        if wanted == "pass" or not texts:
            return f"{wanted}: {len(texts)} reasons" if texts else f"{wanted}: nothing was judged"
        more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
        return f"{wanted}: {texts[0]}{more}"

    def to_junit(self) -> str:
        """Return JUnit's XML: a test case for each reason; undecided ones are errors, notes are skipped."""
        return render_junit(self.to_json())

    def to_html(self, title: str) -> str:
        """Return a page that needs nothing else. title: what was judged."""
        return render_html(self.to_json(), title=title)

    def to_json(self) -> JsonObject:
        """Return ``{version: 1, outcome, exit_code, reasons: [{level, text, operation, numbers, curl}]}``."""
        return {
            "version": 1,
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "reasons": [reason.to_json() for reason in self.reasons],
        }


def render_verdict(verdict: Verdict) -> str:
    """Return the verdict for people: the outcome, then the reasons, the worst first, one a line."""
    width = max(map(len, _LEVELS))
    lines = [f"Verdict: {verdict.outcome}"]
    for reason in sorted(verdict.reasons, key=lambda reason: _LEVELS.index(reason.level)):
        lines.append(f"  {reason.level:{width}}  {reason.text}")
        if reason.curl:
            lines.append(f"  {'':{width}}  {reason.curl}")
    return "\n".join(lines)
