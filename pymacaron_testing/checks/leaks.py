"""Answers give nothing away: no stack traces, paths of files, SQL, keys, password hashes or credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pymacaron_testing.confirm import Outcome, Suspicion, confirm
from pymacaron_testing.declared import find_property
from pymacaron_testing.resources import normalise
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.suite import Suite

_MAX_SCANNED = 200_000
_MIN_SECRET = 8
_SOURCE = r"(?:py|pyc|js|mjs|cjs|ts|rb|php|java|go|rs|cs)"
# What is given away -> texts that no answer to a caller holds by chance.
_PATTERNS = {
    "a stack trace": re.compile(
        r"Traceback \(most recent call last\)"
        r'|File "[^"\n]{1,200}", line \d+'
        r"|\bat [\w.<>$\[\] ]{1,80} ?\((?:file://|node:|[A-Za-z]:)?[^()\n]{1,200}:\d+:\d+\)"
        rf"|\bat (?:file://)?/[^\s()]{{1,200}}\.{_SOURCE}:\d+:\d+"
        r"|\bat [\w.$]{3,120}\((?:\w+\.java:\d+|Native Method|Unknown Source)\)"
        r"|\bgoroutine \d+ \[running\]"
        r"|\bin /[^\s:]{1,200}\.php(?: on line |:)\d+"
    ),
    "the path of a file on the server": re.compile(
        r"(?:^|[\s\"'(=:>,\[])"
        r"(?:file://)?/(?:home|root|usr|var|opt|srv|app|tmp|etc|work|code|workspace|Users|site-packages)"
        rf"/[\w.@+/-]{{0,200}}\.(?:{_SOURCE}|db|sqlite3?|ya?ml|ini|cfg|conf|env|pem|key|log)\b"
        r"|site-packages[/\\]\w|node_modules[/\\][\w@]"
        r"|\b[A-Z]:\\\\?(?:Users|inetpub|Program Files)\\"
    ),
    "SQL": re.compile(
        r"\bSELECT\s[\s\S]{1,200}?\sFROM\s+[\w\"'`.]+\s+(?:WHERE|ORDER|LIMIT|JOIN|GROUP)\b"
        r"|\bINSERT\s+INTO\s+[\w\"'`.]+\s*\("
        r"|\bUPDATE\s+[\w\"'`.]+\s+SET\s+[\w\"'`.]+\s*="
        r"|\bDELETE\s+FROM\s+[\w\"'`.]+\s+WHERE\b"
        r"|SQLSTATE\[|\bORA-\d{5}\b|You have an error in your SQL syntax|syntax error at or near"
        r"|\b(?:sqlite3|psycopg2?|pymysql|MySQLdb|asyncpg|sqlalchemy)\.[\w.]*(?:Error|exc\b)|\bSQLITE_[A-Z]{4,}"
        r"|\bUNIQUE constraint failed: |\bno such (?:table|column): "
        r"|\bviolates (?:unique|foreign key|not-null) constraint|\bDuplicate entry '[^'\n]{0,100}' for key\b"
    ),
    "an error of its database": re.compile(
        r"\bE11000 duplicate key\b|\bMongo(?:Server|Network|BulkWrite|WriteConcern)?Error\b"
        r"|\b(?:Sequelize|PrismaClient)\w{0,40}Error\b|\bConditionalCheckFailedException\b"
    ),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b"),
    "a password hash": re.compile(
        r"\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}"
        r"|\$argon2(?:id|i|d)\$"
        r"|\bpbkdf2[:_](?:sha1|sha256|sha512)[:$]\d*"
        r"|\bscrypt:\d+:\d+:\d+\$"
        r"|\$[156]\$[./A-Za-z0-9]{2,16}\$[./A-Za-z0-9]{22,86}"
    ),
    "a connection string with a password": re.compile(
        r"\b(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|redis|amqps?)(?:\+\w+)?://[^\s:/@]*:[^\s/@]+@"
    ),
}  # fmt: skip
_SECRET_NAME = re.compile(
    r"(?:.*(?:password|passwd|passphrase|secret(?:key)?|privatekey|apikey)(?:hash|digest|salt)?"
    r"|.*(?:token|accesskey)(?:hash|digest|salt)|pwd|salt|ssn|cvv|cvc|creditcard(?:number)?|cardnumber)"
)
_HARMLESS = re.compile(r"(?:has|is|needs|requires?|min|max|reset|forgot|expires|changed|updated)(?=[A-Z_-])")


_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def check_leaks(suite: Suite, operation: Operation) -> Outcome:
    """Look through every answer that *operation* gave."""
    suspicions = []
    for exchange in suite.exercise(operation):
        for what, found in find_leaks(suite, exchange):
            suspicions.append(describe_leak(suite, exchange, what, found))
    return confirm(suspicions, suite)


def find_leaks(suite: Suite, exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Yield what the answer gives away, words for people, and the text that shows it."""
    if exchange.response is None:
        return
    texts = _texts(exchange)
    sent = _sent(exchange)
    for what, pattern in _PATTERNS.items():
        match = next(filter(None, map(pattern.search, texts)), None)
        if match is not None and match.group().strip() not in sent:
            yield what, match.group()
    yield from _find_secret_properties(suite, exchange)
    if exchange.status >= 400:  # noqa: PLR2004 - RFC 9110, section 15.5
        for secret in suite.wire.redaction.secrets:
            if len(secret) >= _MIN_SECRET and any(secret in text for text in texts):
                yield "the caller's credentials", ""


def describe_leak(suite: Suite, exchange: Exchange, what: str, found: str) -> Suspicion:
    """Return the suspicion that the answer gives away *what*; *found* is the text that shows it."""
    operation = exchange.case.operation
    shown = " ".join(found.split())
    failure = suite.build_failure(
        exchange,
        "leak",
        promise=f"answers of {name_of(operation)} give nothing of the service's inside away, such as {what}",
        pointer=f"{operation.pointer}/responses",
        cause=(what,),
        detail=f"it holds {what}" + (f": {shown[:120]}" if shown and what != "a password hash" else ""),
    )
    return Suspicion(exchange, failure, partial(_leaks, suite, what))


def _leaks(suite: Suite, what: str, exchange: Exchange) -> bool:
    return any(other == what for other, _ in find_leaks(suite, exchange))


def _texts(exchange: Exchange) -> list[str]:
    """Return the body, as text and with the escapes of JSON undone, and the values of the headers."""
    assert exchange.response is not None
    body = exchange.response.content[:_MAX_SCANNED].decode("utf-8", "replace")
    return [body, *_strings(exchange.read_json()), *exchange.response.headers.values()]


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _sent(exchange: Exchange) -> str:
    """Return what the request says, in every form in which an answer may repeat it."""
    body = exchange.request.body or b""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    url = str(exchange.request.url)
    unescaped = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _PLAIN.get(found[2], found[2]), text)
    return "\n".join([text, unescaped, url, unquote(url), *map(str, (exchange.path_values or {}).values())])


def _find_secret_properties(suite: Suite, exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Yield secrets of the answer's JSON by the names of properties that its schema does not speak of."""
    response = exchange.case.operation.find_response(exchange.status)
    schemas = [media.schema for media in (response.media if response else ()) if media.schema]
    for path in _secret_paths(exchange.read_json()) if schemas else ():
        if not any(_is_declared(schema, path, suite.api.document) for schema in schemas):
            yield f"the undeclared property {path[-1]}", ""


def _secret_paths(value: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, list):
        for item in value[:20]:
            yield from _secret_paths(item, path)
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str) and item and is_secret_name(key):
                yield (*path, key)
            yield from _secret_paths(item, (*path, key))


def is_secret_name(name: str) -> bool:
    """Tell whether a property of this name holds something that only its owner may know."""
    plain = normalise(name)
    return bool(_SECRET_NAME.fullmatch(plain)) and not _HARMLESS.match(name)


def _is_declared(schema: JsonObject, path: Iterable[str], document: JsonObject) -> bool:
    current: JsonObject | None = schema
    for name in path:
        current = find_property(current, name, document) if current is not None else None
    return current is not None
