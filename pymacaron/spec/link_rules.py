"""What links and callbacks must obey, and the runtime expressions in them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.bundle import Fault
from pymacaron.spec.pointers import MISSING, follow_pointer, join_pointer, pointer_of_fragment

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - RFC 9110, section 5.6.2: the name of a header
# Source: OpenAPI 3.2, "Runtime Expressions", ABNF; what follows body# may be any text, as in examples of OpenAPI 3.0.
_EXPRESSION = re.compile(
    rf"\$(url|method|statusCode|(request|response)\.(header\.{_TOKEN}|(query|path)\..+|body(#.*)?))", re.DOTALL
)
_BEGINNING = re.compile(r"\$(url\b|method\b|statusCode\b|request\.|response\.)")
_EMBEDDED = re.compile(r"\{(\$[^{}]*)\}")


def check_link(link: JsonObject, pointer: str) -> Iterator[Fault]:
    """Yield the faults of a link that show without the rest of the document."""
    if ("operationId" in link) == ("operationRef" in link):
        found = "both operationId and operationRef stand" if "operationId" in link else "no operationId stands"
        yield Fault(pointer, f"{found} in the link", "Write one of them, operationId")
    values = {join_pointer(pointer, "parameters", name): value for name, value in link.get("parameters", {}).items()}
    for place, value in {**values, join_pointer(pointer, "requestBody"): link.get("requestBody")}.items():
        yield from _check_value(value, place)


def check_target(
    document: JsonObject, link: JsonObject, pointer: str, operation_ids: Collection[str]
) -> Iterator[Fault]:
    """Yield a fault if the operation that a link names is none of *operation_ids*, or not in the *document*."""
    ref = link.get("operationRef", "")
    if ref.startswith("#/") and follow_pointer(document, pointer_of_fragment(ref[1:])) is MISSING:
        place = join_pointer(pointer, "operationRef")
        yield Fault(place, f"{ref!r} leads to nothing", "Refer to an operation, or write its operationId")
    if link.get("operationId", "") not in operation_ids and "operationId" in link:
        place = join_pointer(pointer, "operationId")
        yield Fault(place, f"no operation has the id {link['operationId']}", "Write the operationId of an operation")


def check_callback(callback: JsonObject, pointer: str) -> Iterator[Fault]:
    """Yield the faults of the expressions that a callback's URLs are."""
    for key in callback:
        if key.startswith("$") and key != "$ref":
            yield from _check_value(key, join_pointer(pointer, key))
        for expression in _EMBEDDED.findall(key):
            yield from _check_value(expression, join_pointer(pointer, key))


def _check_value(value: Json, pointer: str) -> Iterator[Fault]:
    if not isinstance(value, str) or not _BEGINNING.match(value) or _EXPRESSION.fullmatch(value):
        return
    yield Fault(pointer, f"{value!r} is no runtime expression", "Write one like $response.body#/id or $request.path.id")
