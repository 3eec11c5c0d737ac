"""Takes secrets out of what is logged and reported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from urllib.parse import quote, quote_plus

from pymacaron.json_types import Json

MASK = "**********"

# Words that end a name whose value is a secret. Tokens of other kinds (token_count …) do not match.
_LONG = (
    r"pass(?:word|wd|phrase|code)|secret|token|authorization|cookie|credential|jwt|signature|session[_-]?id"
    r"|(?:api|access|private|secret|signing|encryption|auth|subscription)[_-]?key(?:[_-]?id)?|recovery[_-]?code"
)
_SHORT = r"pwd|dsn|pin|otp|cvv|cvc|auth|sid"  # only after a separator: open-air museums may talk of a spin
_NAME = re.compile(rf"(?:(?:{_LONG})s?|(?:^|[^a-z])(?:{_SHORT}))$", re.IGNORECASE)
# A JWT begins with the base64 of '{"'. Source: RFC 7519, section 3.1.
_JWT = re.compile(r"(?:(?<![\w-])|(?<=%20))eyJ[\w-]{5,}+\.[\w-]++\.[\w-]*+")
_HEADER = re.compile(r"(?<!\w)(Bearer|Basic|Token|ApiKey|Digest)(\s+)[\w.~+/=-]{8,}", re.IGNORECASE)
_IN_URL = re.compile(r"(://)[^\s/@'\"<>]+@")
# A value beside its name: password="x", 'token': 'x', api_key=x. Not a call or an item, such as token=read("x").
_ASSIGNED = re.compile(
    r"(?<![\w-])([\w-]{2,64}+)([\"']?\]?\s*+[:=](?!=)\s*+[bru]{0,2})"
    r"(\"(?:[^\"\\]|\\.)*+(?:\"|\Z)|'(?:[^'\\]|\\.)*+(?:'|\Z)|(?<==)[^\s&\"'(),;\[\]{}<>]++(?![(\[\"']))"
)
# How pydantic shows what it found wrong, on one line.
_PYDANTIC_INPUT = re.compile(r"input_value=.*, input_type=")
_ESCAPED = re.compile(r"[\"'\\\n\r\t]")
_ESCAPES = {"\n": r"\\+n", "\r": r"\\+r", "\t": r"\\+t", "\\": r"\\+"}
_NO_SECRETS = frozenset({"True", "False", "None", "true", "false", "null"})
_LEAST_SECRET = 4
_MOST_TEXT = 1 << 14
_MARGIN = 1 << 12
_MOST_ITEMS = 200
_MOST_DEPTH = 12
_MOST_VALUES = 2_000  # dictionaries and lists


def redact(value: Json, secrets: Iterable[str] = ()) -> Json:
    """Return a copy of JSON-like *value* without secrets; what is no JSON becomes text.

    Masked are: values under names such as ``password`` or ``api_key``, also beside such a name in a text, JWTs,
    ``Bearer …``, ``user:password@`` of URLs, and every one of *secrets* wherever it stands in a text. Secrets of fewer
    than four characters are not searched: they stand everywhere.
    """
    return Redactor(secrets).redact(value)


def is_secret_name(name: str) -> bool:
    """Tell whether *name* says by itself that its value is a secret."""
    return _NAME.search(name) is not None


class Redactor:
    """Takes the same secrets out of several values. It never fails, whatever the value; what is too large is cut."""

    def __init__(
        self,
        secrets: Iterable[str] = (),
        *,
        names: AbstractSet[str] = frozenset(),
        allowed: AbstractSet[str] = frozenset(),
    ) -> None:
        """Take secrets, more names of such, and names that only look like some, both in lower case."""
        self._names = names
        self._allowed = allowed
        self._known: set[str] = set()
        self._secrets: list[str] = []
        self._patterns: list[re.Pattern[str]] = []
        self._left = 0
        self.add_secrets(secrets)

    def add_secrets(self, secrets: Iterable[str]) -> None:
        """Take more secrets out from now on."""
        new = {secret for secret in secrets if len(secret) >= _LEAST_SECRET} - self._known
        if new:
            self._known |= new
            forms = {form for secret in new for form in _write_forms(secret)}
            self._secrets = sorted({*self._secrets, *forms}, key=len, reverse=True)
            self._patterns += [_write_pattern(secret) for secret in new if _ESCAPED.search(secret)]

    def find_secrets(self, value: Json) -> set[str]:
        """Return the texts in JSON-like *value* that stand under names of secrets."""
        found: set[str] = set()
        seen: set[tuple[int, bool]] = set()
        waiting: list[tuple[Json, bool]] = [(value, False)]
        while waiting and len(seen) < _MOST_VALUES:
            one, is_hidden = waiting.pop()
            if isinstance(one, (Mapping, list, tuple, set, frozenset)):
                if (id(one), is_hidden) in seen:
                    continue
                seen.add((id(one), is_hidden))
            if isinstance(one, Mapping):
                waiting += [(inner, is_hidden or self.is_secret(_to_text(name))) for name, inner in list(one.items())]
            elif isinstance(one, (list, tuple, set, frozenset)):
                waiting += [(inner, is_hidden) for inner in list(one)]
            elif is_hidden and one is not None and not isinstance(one, bool):
                found.add(_to_text(one))
        return found

    def redact(self, value: Json) -> Json:
        """Return a copy without secrets, see `redact`."""
        self._left = _MOST_VALUES
        return self._redact(value, _MOST_DEPTH)

    def redact_text(self, text: str) -> str:
        """Return *text* without secrets."""
        if len(text) > _MOST_TEXT:
            return self._redact_long(text)
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        for pattern in self._patterns:
            text = pattern.sub(MASK, text)
        text = _HEADER.sub(rf"\1\2{MASK}", _JWT.sub(MASK, text))
        text = _PYDANTIC_INPUT.sub(f"input_value={MASK}, input_type=", text)
        return _ASSIGNED.sub(self._hide_assigned, _IN_URL.sub(rf"\1{MASK}@", text))

    def is_secret(self, name: str) -> bool:
        """Tell whether what stands under *name* is a secret."""
        lower = name.lower()
        return lower in self._names or (lower not in self._allowed and is_secret_name(name))

    def _redact(self, value: Json, depth: int) -> Json:
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return self.redact_text(value)
        self._left -= 1
        if depth == 0 or self._left < 0:
            return "…"
        if isinstance(value, Mapping):
            items = list(value.items())
            return {
                self.redact_text(_to_text(key)): self._redact_item(_to_text(key), inner, depth - 1)
                for key, inner in items[:_MOST_ITEMS]
            } | ({"…": len(items) - _MOST_ITEMS} if len(items) > _MOST_ITEMS else {})
        if isinstance(value, (list, tuple, set, frozenset)):
            inner = [self._redact(one, depth - 1) for one in list(value)[:_MOST_ITEMS]]
            return inner + (["…"] if len(value) > _MOST_ITEMS else [])
        return self.redact_text(_to_text(value))

    def _redact_item(self, name: str, value: Json, depth: int) -> Json:
        is_count = isinstance(value, (int, float)) and name.endswith("s") and name.lower() not in self._names
        return MASK if value and self.is_secret(name) and not is_count else self._redact(value, depth)

    def _hide_assigned(self, match: re.Match[str]) -> str:
        is_hidden = match[3] not in _NO_SECRETS and self.is_secret(match[1])
        return f"{match[1]}{match[2]}{MASK}" if is_hidden else match[0]

    def _redact_long(self, text: str) -> str:
        """Return both ends. A part of a secret that was cut would not be found, so more is looked at than returned."""
        start = self.redact_text(text[: _MOST_TEXT // 2])[:-_MARGIN]
        end = self.redact_text(text[-_MOST_TEXT:])[_MARGIN:]
        return f"{start}…{end}"


def _to_text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - whatever stands in a report, the report is made
        return f"<{type(value).__name__}, whose text cannot be made: {type(error).__name__}>"


def _write_forms(secret: str) -> set[str]:
    """Return *secret* as it may stand in texts: itself, in a URL, in JSON."""
    return {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1]}


def _write_pattern(secret: str) -> re.Pattern[str]:
    """Return what finds *secret* in a repr, in the repr of a text that holds one, and so on."""
    parts = []
    for char in secret:
        own = re.escape(char)
        parts.append(f"(?:{own}|{_ESCAPES[char]})" if char in _ESCAPES else rf"\\*{own}" if char in "\"'" else own)
    return re.compile("".join(parts))
