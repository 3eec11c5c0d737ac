"""Takes secrets out of what is logged and reported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from pymacaron.json_types import Json

MASK = "**********"

# A name that says that its value is a secret. Tokens of other kinds (token_count …) do not match.
_SECRET_NAME = re.compile(
    r"(^|[_-])(password|passwd|secret|token|authorization|cookie|credentials?|dsn)$|(api|access|private|secret)[_-]?key",
    re.IGNORECASE,
)
# A JWT begins with the base64 of '{"'. Source: RFC 7519, section 3.1.
_JWT = re.compile(r"eyJ[\w-]{5,}\.[\w-]+\.[\w-]*")
_HEADER = re.compile(r"\b(Bearer|Basic|Token)(\s+)[\w.~+/=-]{8,}", re.IGNORECASE)
_LEAST_SECRET = 4


def redact(value: Json, secrets: Iterable[str] = ()) -> Json:
    """Return a copy of JSON-like *value* without secrets; what is no JSON becomes text.

    Masked are: values under names such as ``password`` or ``api_key``, JWTs, ``Bearer …``, and every one of *secrets*
    wherever it stands in a text. Secrets of fewer than four characters are not searched: they stand everywhere.
    """
    known = sorted({secret for secret in secrets if len(secret) >= _LEAST_SECRET}, key=len, reverse=True)
    return _redact(value, known)


def _redact(value: Json, secrets: Sequence[str]) -> Json:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {
            str(key): MASK if inner and _SECRET_NAME.search(str(key)) else _redact(inner, secrets)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_redact(inner, secrets) for inner in value]
    text = str(value)
    for secret in secrets:
        text = text.replace(secret, MASK)
    return _HEADER.sub(rf"\1\2{MASK}", _JWT.sub(MASK, text))
