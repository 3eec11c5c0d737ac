"""One request and what came back, and how people are shown them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from requests.structures import CaseInsensitiveDict

if TYPE_CHECKING:
    import requests

    from pymacaron.json_types import Json
    from pymacaron.spec import Operation

_SHOWN_CHARACTERS = 300
_SHOWN_BODY_BYTES = 4000
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
_SPECIAL = re.compile(r"[\\\"`!$]")
_SILENT_HEADERS = {"content-length", "user-agent", "accept-encoding", "connection"}
_DEFAULT_HEADER = ("accept", "*/*")  # of curl too
_SECRET_HEADERS = {"authorization", "cookie", "proxy-authorization"}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A generated request before it is sent.

    generated: the generator's own object, opaque to everybody else. is_valid: by the document. location: where it
    breaks the document or what it is about: path, query, header, cookie, body, or empty. subject: name of the
    parameter or property there, or empty. description: what is special, for people. rule: pointer of the broken rule
    inside the schema. is_probe: malformed outside of what the document speaks of; only a 5xx answer is wrong then.
    keeps_path: the values in its path are part of what it is about.
    """

    operation: Operation
    generated: Any
    is_valid: bool
    location: str = ""
    subject: str = ""
    description: str = ""
    rule: str = ""
    is_probe: bool = False
    keeps_path: bool = False


def find_subject(parameter: str | None, location: str, text: str) -> str:
    """Return what a case is about: a parameter, or a property of the body as ``user.email``; empty if that is all.

    text: the generator's words about the case, with pointers such as ``/properties/user/properties/email/type``.
    """
    if location != "body":
        return parameter or ""
    names = re.findall(r"with valid '([^']+)' value", text)
    if names:
        return ".".join(names)
    missing = re.search(r"Missing required property: (\S+)", text)
    found = re.search(r"(?:/(?:properties|items)(?:/[^/\s]+)?)+", text)
    names = re.findall(r"/properties/([^/\s]+)", found.group()) if found else []
    return ".".join([*names, *([missing.group(1)] if missing else [])])


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """A case that was sent. response None: no answer came, *error* says why. path_values: as sent, decoded."""

    case: Case
    request: requests.PreparedRequest
    response: requests.Response | None
    error: str = ""
    path_values: Mapping[str, str] | None = None

    @property
    def status(self) -> int:
        """HTTP status of the answer; 0 without one."""
        return self.response.status_code if self.response is not None else 0

    @property
    def is_success(self) -> bool:
        """Tell whether the answer is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110, section 15.3

    @property
    def is_declared_text(self) -> bool:
        """Tell whether the body is a text or a file by the document, and no JSON: nobody is to parse it as YAML."""
        declared = self.case.operation.find_response(self.status)
        content_type = self.response.headers.get("Content-Type", "") if self.response is not None else ""
        media = declared.media if declared is not None and "json" not in content_type else ()
        return any((one.schema or {}).get("type") == "string" and not one.is_json for one in media)

    def read_json(self) -> Json:
        """Return the answer's body if it is JSON, else None."""
        if self.response is None or "json" not in self.response.headers.get("Content-Type", ""):
            return None
        try:
            return json.loads(self.response.content)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Redaction:
    """Keeps credentials out of everything that is shown: *secrets* are values, *headers* lower-case names."""

    secrets: Sequence[str] = ()
    headers: frozenset[str] = frozenset()

    def __or__(self, other: Redaction) -> Redaction:
        """Return what hides the secrets of both."""
        return Redaction((*self.secrets, *other.secrets), self.headers | other.headers)

    def clean(self, text: str) -> str:
        """Return *text* with every secret, and everything that looks like a JWT, replaced by ``$TOKEN``."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            if secret:
                text = text.replace(secret, "$TOKEN")
        return _JWT.sub("$TOKEN", text)

    def clean_header(self, name: str, value: str) -> str:
        """Return a header's value, the credentials in it replaced; the scheme word before them stays."""
        if name.lower() not in self.headers | _SECRET_HEADERS:
            return self.clean(value)
        scheme, space, secret = value.partition(" ")
        return f"{scheme} $TOKEN" if space and secret and "=" not in scheme else "$TOKEN"


def describe_answer(exchange: Exchange, redaction: Redaction) -> str:
    """Return status, media type and the start of the body in one line."""
    response = exchange.response
    if response is None:
        return f"no answer: {exchange.error}"
    media_type = response.headers.get("Content-Type", "no Content-Type")
    text = response.content[:_SHOWN_BODY_BYTES].decode("utf-8", "replace")
    body = shorten(redaction.clean(" ".join(text.split())))
    return f"{response.status_code} {response.reason or ''} ({media_type}) {body or 'without a body'}".replace(
        "  ", " "
    )


def describe_request(request: requests.PreparedRequest, redaction: Redaction) -> str:
    """Return a curl line that sends *request* again, credentials as ``$TOKEN``."""
    words = ["curl", "-i", "-X", str(request.method)]
    headers: Mapping[str, str] = request.headers or CaseInsensitiveDict()
    for name, value in headers.items():
        if name.lower() in _SILENT_HEADERS or (name.lower(), _as_text(value)) == _DEFAULT_HEADER:
            continue
        shown = redaction.clean_header(name, _as_text(value))
        words += ["-H", _quote(f"{name}: {shown}")]
    if request.body is not None:
        words += ["--data-binary", _quote_body(request.body, redaction)]
    words.append(_quote(redaction.clean(str(request.url))))
    return " ".join(words)


def shorten(text: str, limit: int = _SHOWN_CHARACTERS) -> str:
    """Return *text* cut to *limit* characters, with a mark where it was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _as_text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _quote(text: str) -> str:
    """Quote for a POSIX shell, leaving ``$TOKEN`` to be expanded."""
    if "$TOKEN" not in text:
        return shlex.quote(text)
    if not _SPECIAL.search(text.replace("$TOKEN", "")):
        return f'"{text}"'
    return '"$TOKEN"'.join(shlex.quote(part) if part else "" for part in text.split("$TOKEN"))


def _quote_body(body: bytes | str | Any, redaction: Redaction) -> str:
    if not isinstance(body, bytes | str):
        return "@-"
    data = body.encode() if isinstance(body, str) else body
    if len(data) > _SHOWN_BODY_BYTES:
        return f"@body  # {len(data)} bytes, cut here: {_quote_data(data[:200], redaction)}"
    return _quote_data(data, redaction)


def _quote_data(data: bytes, redaction: Redaction) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text.isprintable() and text:
        return _quote(redaction.clean(text))
    return "$'" + "".join(_escape_byte(byte) for byte in data) + "'"


def _escape_byte(byte: int) -> str:
    is_plain = 0x20 <= byte < 0x7F and byte not in b"'\\"  # noqa: PLR2004 - printable ASCII
    return chr(byte) if is_plain else f"\\x{byte:02x}"
