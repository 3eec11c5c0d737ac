"""How two declarations of ``x-slo`` differ: what a service promises of its speed and availability."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pymacaron.json_types import Json

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
_UNITS_S = {"ms": 0.001, "s": 1.0}


def compare_objectives(old: Json, new: Json) -> Iterator[tuple[str, str]]:
    """Yield rule and sentence for each objective that changed; whoever reads ``x-slo`` says whether it makes sense."""
    mine, theirs = _flatten(old), _flatten(new)
    for name in dict.fromkeys([*mine, *theirs]):
        before, after = mine.get(name), theirs.get(name)
        if before == after:
            continue
        is_looser = after is None or (before is not None and _strictness(name, after) < _strictness(name, before))
        rule = "slo-loosened" if is_looser else "slo-tightened"
        yield rule, f"the objective {name} went from {_show(before)} to {_show(after)}"


def _flatten(declared: Json) -> dict[str, Json]:
    if not isinstance(declared, dict):
        return {}
    found = {key: value for key, value in declared.items() if key != "latency"}
    latency = declared.get("latency")
    return found | ({f"latency {key}": value for key, value in latency.items()} if isinstance(latency, dict) else {})


def _strictness(name: str, value: Json) -> float:
    """Return a number that is larger for what is harder to keep."""
    match = _DURATION.fullmatch(str(value))
    if match:
        return -float(match[1]) * _UNITS_S[match[2]]
    return float(value) if name == "availability" and isinstance(value, int | float) else 0.0


def _show(value: Json) -> str:
    return "none" if value is None else str(value)
