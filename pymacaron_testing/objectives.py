"""What a document promises of the latency of its operations: ``x-slo: {latency: {p95: 200ms, p99: 1.5s}}``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.spec import Api, Operation

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s)")
_MILLISECONDS = 1000


@dataclass(frozen=True, slots=True)
class Objective:
    """At most ``100 - percentile`` percent of the answers take longer than *bound_s* seconds.

    pointer: where the document says so; empty if it is an option of the run.
    """

    percentile: float
    bound_s: float
    pointer: str = ""

    @property
    def allowed_share(self) -> float:
        """Share of the answers, 0 to 1, that may be slower."""
        return (100 - self.percentile) / 100

    def __str__(self) -> str:
        """Return the objective in words."""
        bound = f"{self.bound_s * _MILLISECONDS:g} ms"
        return f"{self.percentile:g} % of the answers come within {bound}"


def find_objectives(api: Api, operation: Operation) -> list[Objective]:
    """Return the objectives of *operation*, those of its path and of the document included; the nearest one counts.

    What makes no sense is left out: the command ``pymacaron slo`` tells of it.
    """
    path_item = api.document.get("paths", {}).get(operation.path, {})
    path_pointer = operation.pointer.rpartition("/")[0]
    places = (
        (api.extensions.get("x-slo"), ""),
        (path_item.get("x-slo"), path_pointer),
        (operation.extensions.get("x-slo"), operation.pointer),
    )
    found: dict[float, Objective] = {}
    for declared, pointer in places:
        for objective in _read(declared, f"{pointer}/x-slo"):
            found[objective.percentile] = objective
    return [found[percentile] for percentile in sorted(found)]


def _read(declared: Json, pointer: str) -> list[Objective]:
    latency = declared.get("latency") if isinstance(declared, dict) else None
    if not isinstance(latency, dict):
        return []
    found = []
    for name, text in latency.items():
        percentile, duration = _PERCENTILE.fullmatch(str(name)), _DURATION.fullmatch(str(text))
        if percentile and duration:
            bound_s = float(duration[1]) / (_MILLISECONDS if duration[2] == "ms" else 1)
            found.append(Objective(float(percentile[1]), bound_s, f"{pointer}/latency/{name}"))
    return found
