"""What a caller of a mock wishes for: the header ``Prefer``, as Prism reads it.

Source: RFC 7240; https://docs.stoplight.io/docs/prism, "Force Response Examples".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pymacaron.exceptions import InvalidParameterError

_LEAST, _MOST = 100, 599


@dataclass(frozen=True, slots=True)
class Preferences:
    """code: status of the answer. example: name of the example. is_dynamic: no examples, drawn values."""

    code: int | None = None
    example: str | None = None
    is_dynamic: bool = False


def read_preferences(lines: Iterable[str]) -> Preferences:
    """Read the values of all Prefer headers: ``code=404, example=none``, ``dynamic=true``. Others are ignored.

    Raises: InvalidParameterError: the code is no HTTP status.
    """
    found: dict[str, str] = {}
    for line in lines:
        for part in line.replace(";", ",").split(","):
            key, _, value = part.partition("=")
            found.setdefault(key.strip().lower(), value.strip().strip('"'))
    code = found.get("code")
    if code is not None and not (code.isdecimal() and _LEAST <= int(code) <= _MOST):
        raise InvalidParameterError(faults=["header Prefer: code is no HTTP status, write code=404"])
    return Preferences(int(code) if code else None, found.get("example"), found.get("dynamic") == "true")
