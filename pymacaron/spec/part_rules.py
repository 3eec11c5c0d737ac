"""What the smaller parts of a document must obey: its licence, servers, tags, examples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from pymacaron.json_types import JsonObject
from pymacaron.spec.bundle import Fault
from pymacaron.spec.pointers import join_pointer

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
    first = next((key for key in ("value", "externalValue") if key in example), None)
    if {"value", "externalValue"} <= example.keys():
        yield Fault(pointer, "both value and externalValue stand in the example", "Keep one of them")
    elif first and "dataValue" in example:
        yield Fault(pointer, f"both {first} and dataValue stand in the example", "Keep one of them")
