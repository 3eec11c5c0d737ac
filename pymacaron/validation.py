"""What pydantic found wrong, in words for the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

_MOST = 20


def describe(error: ValidationError, prefix: str = "") -> str:
    """Return one clause per finding, as ``/items/0/id: Input should be a valid integer``.

    prefix: what the JSON pointer is relative to, ``"body "``. Values never appear: they may be secrets.
    """
    clauses = []
    findings = error.errors(include_url=False, include_context=False, include_input=False)
    for finding in findings[:_MOST]:
        pointer = "".join(f"/{part}" for part in finding["loc"]) or "/"
        clauses.append(f"{prefix}{pointer}: {finding['msg']}")
    if len(findings) > _MOST:
        clauses.append(f"and {len(findings) - _MOST} more")
    return "; ".join(clauses)
