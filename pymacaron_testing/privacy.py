"""Whether things are their maker's alone: judged by how the target treats strangers, and by the document's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron.spec import Operation

_FORBIDDEN = 403
_HIDING = {404, 410}
_SAFE = {"GET", "HEAD"}


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(rf"\b{pattern}(?!\w)" for pattern in patterns), re.IGNORECASE)


# Words that say that only who made a thing may do something with it.
_OWNER = _any_of(
    r"only (by )?(the |its |their )?(owner|creator|author|maker|who|person|user)",
    r"((its|the) owner (only|may|can|is)|owners? only)",
    r"others? (get|may not|can ?not|can't|are)",
    r"(other users?|another user|someone else|somebody else)",
    r"(that|which|whom?) (the|this) (user|caller) (made|created|owns)",
    r"(made|created|owned) by (the|this) (user|caller)",
    r"(not (yours|your own)|your own)",
)
# Words that say that a list is one user's.
_OWN_LIST = _any_of(
    r"(caller|user|client|owner)'s",
    r"of (the|this) (caller|user|current|calling|authenticated)",
    r"(your|my|own|one's)",
    r"(the|this) (caller|user) (made|created|owns|has|may see|asks)",
    r"user who asks",
    r"(current|calling|authenticated|logged[- ]in) user",
)
_SHARED = _any_of(
    r"(shared|public|publicly|global)",
    r"every(body|one|user)('s)?",
    r"all (users|people|callers)",
    r"any(body|one| user)",
    r"other users'",
)
# What else a 403 may be about.
_OTHER_REASONS = _any_of(
    r"(admin|administrators?|roles?|scopes?|permissions?|privileges?|quota|limit|plan|token)",
    r"(locked|in use|system|read[- ]only|protected|archived|disabled|suspended)",
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of who may see and change the things of a kind.

    told: what somebody said, True for shared, False for private, None where nobody did. refused: by operation, the
    status with which a stranger was refused what the owner may do. shown: operations that show a thing to a stranger.
    changed: operations that let a stranger change one. hidden_in: lists that show a thing to its owner and not to a
    stranger.
    """

    told: bool | None = None
    refused: Mapping[str, tuple[Operation, int]] = field(default_factory=dict)
    shown: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    hidden_in: Mapping[str, Operation] = field(default_factory=dict)

    def __or__(self, other: Evidence) -> Evidence:
        """Return what both know; of what was told the left one counts."""
        return Evidence(
            self.told if self.told is not None else other.told,
            {**other.refused, **self.refused},
            self.shown | other.shown,
            self.changed | other.changed,
            {**other.hidden_in, **self.hidden_in},
        )


def why_not_read(evidence: Evidence, operation: Operation) -> str:
    """Return why *operation* must not show a thing to a stranger, a sentence for people; empty where it may.

    Where two other operations disagree about it nothing is said.
    """
    if evidence.told is not None:
        return "" if evidence.told else "x-pymacaron says that these things are not shared"
    if evidence.shown - {operation.operation_id}:
        return ""
    return next(_find_hiding(evidence, operation), "")


def why_not_list(evidence: Evidence, operation: Operation) -> str:
    """Return why the list of *operation* must not show a thing to a stranger; empty where it may."""
    words = _words_of(operation)
    if evidence.told is None and _SHARED.search(words):
        return ""
    why = why_not_read(evidence, operation)
    if why or evidence.told is not None or evidence.shown - {operation.operation_id}:
        return why
    said = _OWN_LIST.search(words)
    return f"the document says '{words}'" if said else ""


def why_not_change(evidence: Evidence, operation: Operation, reader: Operation | None) -> str:
    """Return why *operation* must not let a stranger change a thing; empty where it may.

    reader: what reads such things: a 403 that only the changing operation declares is about changing.
    """
    if evidence.told is not None:
        return "" if evidence.told else "x-pymacaron says that these things are not shared"
    found = [next(_find_hiding(evidence, operation), ""), _find_words(operation, reader)]
    if operation.method.upper() != "POST":  # who may read a thing may copy it, vote for it, answer it
        found.append(_find_strict_sibling(evidence, operation, reader))
    if operation.method.upper() != "POST" and not evidence.changed - {operation.operation_id}:
        found.append(_find_declared_refusal(operation, reader))
    return next((why for why in found if why), "")


def find_contradiction(evidence: Evidence) -> str:
    """Return what leaves open whose the things are, a sentence for people; empty where nothing does."""
    if evidence.told is not None or not evidence.hidden_in or not evidence.shown:
        return ""
    hiding = ", ".join(sorted(_name(other) for other in evidence.hidden_in.values()))
    showing = ", ".join(sorted(evidence.shown))
    return f"{hiding} hides from others what {showing} shows them; x-pymacaron: {{shared: …}} says what is right"


def _find_words(operation: Operation, reader: Operation | None) -> str:
    words = _words_of(operation)
    if _OWNER.search(words):
        return f"the document says '{words}'"
    own = _describe_403(operation)
    is_special = own is not None and own != _describe_403(reader)
    return f"the document says of 403 '{own}'" if is_special and _OWNER.search(own or "") else ""


def _find_strict_sibling(evidence: Evidence, operation: Operation, reader: Operation | None) -> str:
    """Return what other operation refuses strangers with the 403 that both declare, and reading does not."""
    own = _describe_403(operation)
    if own is None or own == _describe_403(reader):
        return ""
    strict = [other for other, status in _others(evidence, operation) if status == _FORBIDDEN]
    return f"{_name(strict[0])} refuses strangers with 403, which both declare" if strict else ""


def _find_declared_refusal(operation: Operation, reader: Operation | None) -> str:
    own = _describe_403(operation)
    has_scopes = any(scopes for need in operation.security for scopes in need.values())
    if own is None or reader is None or _describe_403(reader) is not None or has_scopes:
        return ""
    is_other = _OTHER_REASONS.search(f"{own} {_words_of(operation)}")
    return "" if is_other else "the document declares 403 for it, and not for reading"


def _find_hiding(evidence: Evidence, operation: Operation) -> Iterator[str]:
    """Yield what shows that a stranger is not to know of the thing."""
    is_open = bool(evidence.shown - {operation.operation_id})
    for other in evidence.hidden_in.values():
        if other.operation_id != operation.operation_id and not is_open:
            yield f"{_name(other)} shows it to its owner and not to others"
    for other, status in _others(evidence, operation):
        is_reading = other.method.upper() in _SAFE
        if status in _HIDING or (is_reading and status == _FORBIDDEN):
            yield f"{_name(other)} answers {status} to others"


def _others(evidence: Evidence, operation: Operation) -> list[tuple[Operation, int]]:
    return [item for key, item in evidence.refused.items() if key != operation.operation_id]


def _describe_403(operation: Operation | None) -> str | None:
    """Return what the document says of the 403 of *operation*; None where it declares none."""
    found = operation.find_response(_FORBIDDEN) if operation else None
    return found.description if found is not None and found.status == str(_FORBIDDEN) else None


def _words_of(operation: Operation) -> str:
    return f"{operation.summary} {operation.description}".strip()


def _name(operation: Operation) -> str:
    return f"{operation.method.upper()} {operation.path}"
