"""Pieces of PromQL: quoted texts, label matchers, durations."""

from __future__ import annotations

import json
import re

from prometheus_client.utils import floatToGoString

_UNITS_S = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


def quote(text: str) -> str:
    """Return *text* as a string of PromQL."""
    return json.dumps(text, ensure_ascii=False)


def match(label: str, *values: str) -> str:
    """Return the matcher of series whose *label* has one of *values*: ``operation_id=~"get|list"``."""
    if len(values) == 1:
        return f"{label}={quote(values[0])}"
    return f"{label}=~{quote('|'.join(map(_escape, values)))}"


def match_bound(bound_s: float) -> str:
    """Return the matcher of the bucket up to *bound_s* seconds; others write ``1`` where ours writes ``1.0``."""
    text = write_bound(bound_s)
    return match("le", text, text.removesuffix(".0")) if text.endswith(".0") else match("le", text)


def write_bound(bound_s: float) -> str:
    """Return seconds as the label ``le`` has them."""
    text: str = floatToGoString(bound_s)  # type: ignore[no-untyped-call]  # prometheus_client has no types here
    return text


def select(metric: str, *matchers: str) -> str:
    """Return ``metric{matchers}``."""
    return f"{metric}{{{', '.join(matchers)}}}"


def format_duration(seconds: float) -> str:
    """Return whole *seconds*, at least 1, as PromQL writes them: ``1h30m``."""
    left, parts = round(seconds), []
    for unit, size in _UNITS_S:
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return "".join(parts)


def _escape(text: str) -> str:
    """Return the regular expression that matches *text* only."""
    return _SPECIAL.sub(r"\\\g<0>", text)
