"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pymacaron_testing.coverage import summarise_coverage
from pymacaron_testing.files import write_whole

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject

_TEMPLATES = Path(__file__).parent / "templates"
_VERDICTS = {0: ("kept", "The target keeps its document."), 1: ("broken", "The target breaks its document.")}
_NO_VERDICT = ("undecided", "The target could not be tested.")
_COVERAGE_NAMES = {
    "operations": "operations that succeeded",
    "answers": "declared answers",
    "parameters": "parameters",
    "enum_members": "enum members",
    "optional": "optional values with and without",
}


def render_page(report: JsonObject) -> str:
    """Return the page of a report in the form of ``pymacaron-report.json``."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    items = report["items"]
    state, sentence = _VERDICTS.get(report["exit_code"], _NO_VERDICT)
    return environment.get_template("report.html").render(
        report=report,
        state=state,
        sentence=sentence,
        failed=[item for item in items if item["failures"]],
        gaps=[(item["nodeid"], gap) for item in items for gap in _gaps(item)],
        flaky=[(item["nodeid"], sentence) for item in items for sentence in item["flaky"]],
        coverage=[
            (_COVERAGE_NAMES[name], seen, total)
            for name, (seen, total) in summarise_coverage(report["coverage"]).items()
            if total
        ],
        slowest=sorted(items, key=lambda item: -item["duration_s"]),
    )


def write_page(report: JsonObject, path: Path) -> None:
    """Write the page, whole or not at all."""
    write_whole(path, render_page(report))


def _gaps(item: JsonObject) -> list[str]:
    """Return what could not be checked of an item, and why."""
    is_idle = item["outcome"] in {"skipped", "not_run"}
    return [item["reason"] or "the run ended before it"] if is_idle else list(item["gaps"])
