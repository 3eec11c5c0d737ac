"""What the smaller parts of a document must obey: its licence, servers, tags, examples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from pymacaron.json_types import JsonObject
from pymacaron.spec.bundle import Fault
from pymacaron.spec.pointers import join_pointer

# Source: OpenAPI 3.2, "Example Object" and "OAuth Flow Object".
_EXCLUSIVE = (
    ("value", "externalValue"),
    ("value", "dataValue"),
    ("value", "serializedValue"),
    ("serializedValue", "externalValue"),
)
_FLOW_NEEDS = {
    "implicit": ("authorizationUrl",),
    "password": ("tokenUrl",),
    "clientCredentials": ("tokenUrl",),
    "authorizationCode": ("authorizationUrl", "tokenUrl"),
    "deviceAuthorization": ("deviceAuthorizationUrl", "tokenUrl"),
}
_VARIABLE = re.compile(r"\{([^{}]+)\}")


def check_tags(document: JsonObject) -> Iterator[Fault]:
    """Yield a fault for each tag that stands there twice, and for each whose parent is none."""
    tags = document.get("tags", [])
    counts = Counter(tag.get("name") for tag in tags)
    for index, tag in enumerate(tags):
        place = join_pointer("/tags", index)
        if counts[tag.get("name")] > 1 and tag.get("name"):
            yield Fault(join_pointer(place, "name"), f"several tags are called {tag['name']}", "Merge them")
        if "parent" in tag and tag["parent"] not in counts:
            yield Fault(join_pointer(place, "parent"), f"no tag is called {tag['parent']}", "Declare it")
        elif "parent" in tag and _is_below_itself(tag, tags):
            yield Fault(join_pointer(place, "parent"), "the tag is its own parent, or that of one above", "Correct it")


def _is_below_itself(tag: JsonObject, tags: list[JsonObject]) -> bool:
    parents = {each.get("name"): each.get("parent") for each in tags}
    seen = set()
    name = tag.get("name")
    while name is not None and name not in seen:
        seen.add(name)
        name = parents.get(name)
    return name is not None and name == tag.get("name")


def check_license(node: JsonObject, pointer: str) -> Iterator[Fault]:
    """Yield the fault of a licence that is named in two ways."""
    if "identifier" in node and "url" in node:
        yield Fault(pointer, "both identifier and url stand in the license", "Keep one of them")


def check_server(server: JsonObject, pointer: str) -> Iterator[Fault]:
    """Yield a fault for each variable of the URL that is not declared."""
    for name in _VARIABLE.findall(server.get("url", "")):
        if name not in server.get("variables", {}):
            yield Fault(join_pointer(pointer, "url"), f"the variable {name} is not declared", "Add it to variables")


def check_variable(variable: JsonObject, pointer: str) -> Iterator[Fault]:
    """Yield the faults of the values that a server's variable may have."""
    values = variable.get("enum")
    if values == []:
        yield Fault(join_pointer(pointer, "enum"), "enum is empty", "Add a value or remove it")
    elif values and "default" in variable and variable["default"] not in values:
        place = join_pointer(pointer, "default")
        yield Fault(place, f"the default {variable['default']!r} is not in enum", "Write one of its values")


def check_examples(holder: JsonObject, pointer: str) -> Iterator[Fault]:
    """Yield a fault if something has examples in two ways."""
    if "example" in holder and "examples" in holder:
        yield Fault(pointer, "both example and examples stand here", "Keep one of them")


def check_example(example: JsonObject, pointer: str) -> Iterator[Fault]:
    """Yield a fault if an example has its value in two ways."""
    for one, other in _EXCLUSIVE:
        if one in example and other in example:
            yield Fault(pointer, f"both {one} and {other} stand in the example", "Keep one of them")


def check_encodings(media: JsonObject, pointer: str) -> Iterator[Fault]:
    """Yield a fault if parts are encoded by name and by position."""
    other = next((key for key in ("prefixEncoding", "itemEncoding") if key in media), None)
    if other and "encoding" in media:
        yield Fault(pointer, f"both encoding and {other} stand here", "Keep one of them")


def check_flows(flows: JsonObject, pointer: str) -> Iterator[Fault]:
    """Yield a fault for each URL that a flow of OAuth 2 needs and does not have."""
    for name, flow in flows.items():
        for key in _FLOW_NEEDS.get(name, ()):
            if key not in flow:
                yield Fault(join_pointer(pointer, name), f"the flow {name} needs {key}", f"Add {key}")


def check_header(header: JsonObject, pointer: str) -> Iterator[Fault]:
    """Yield the faults of a header: how its value looks must be said in one way."""
    if ("schema" in header) == ("content" in header):
        found = "both schema and content stand" if "schema" in header else "neither schema nor content stands"
        yield Fault(pointer, f"{found} in the header", "Write one of them, schema")
    elif len(header.get("content", {"one": {}})) != 1:
        yield Fault(join_pointer(pointer, "content"), "a header has exactly one media type", "Keep one")
    if header.get("style", "simple") != "simple":
        yield Fault(join_pointer(pointer, "style"), f"a header cannot have style {header['style']}", "Write simple")
