"""What a document must obey beyond the types of its nodes; each rule yields its faults."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.bundle import Fault
from pymacaron.spec.grammar import METHODS, OPENAPI_3_2, OWN_STYLE
from pymacaron.spec.link_rules import check_callback, check_link, check_target
from pymacaron.spec.operations import WrittenOperation, iterate_operations
from pymacaron.spec.part_rules import (
    check_encodings,
    check_example,
    check_examples,
    check_flows,
    check_header,
    check_license,
    check_server,
    check_tags,
    check_variable,
)
from pymacaron.spec.pointers import join_pointer
from pymacaron.spec.schema_rules import check_schema

_STATUS = re.compile(r"[1-5]([0-9]{2}|XX|xx)|default")
_TEMPLATE_NAME = re.compile(r"\{([^{}]*)\}")
# Source: RFC 9110, section 5.6.2.
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LOCATIONS = ("path", "query", "querystring", "header", "cookie")
_STYLES = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "querystring": ("form",),
    "header": ("simple",),
    "cookie": ("form", "cookie"),
}
_SCHEME_NEEDS = {
    "apiKey": ("name", "in"),
    "http": ("scheme",),
    "oauth2": ("flows",),
    "openIdConnect": ("openIdConnectUrl",),
    "mutualTLS": (),
}


def check_document(document: JsonObject) -> list[Fault]:
    """Return every fault of the upgraded *document*, whose nodes have the right types."""
    operations = list(iterate_operations(document))
    faults = [*_check_root(document), *_check_paths(document), *_check_operation_ids(operations)]
    faults += check_tags(document)
    for operation in operations:
        faults += [*_check_template(operation), *_check_duplicates(operation), *_check_query(operation)]
        faults += _check_security(document, operation.node, operation.pointer)
    faults += _check_security(document, document, "")
    operation_ids = {operation.node["operationId"] for operation in operations if "operationId" in operation.node}
    places = {operation.pointer for operation in operations}
    links = []
    for kind, node, pointer in _iterate_objects(document):
        for check in _CHECKS.get(kind, ()) if "$ref" not in node else ():
            faults += check(node, pointer)
        if kind == "operation" and "operationId" in node and pointer not in places:
            if node["operationId"] in operation_ids:
                found = f"operationId {node['operationId']} is that of another operation too"
                faults.append(Fault(join_pointer(pointer, "operationId"), found, "Choose another one"))
            operation_ids.add(node["operationId"])
        elif kind == "link":
            links.append((node, pointer))
    return faults + [fault for link, pointer in links for fault in check_target(document, link, pointer, operation_ids)]


def _iterate_objects(document: JsonObject) -> Iterator[tuple[str, JsonObject, str]]:
    """Yield kind, node and pointer of every object that the grammar knows."""
    steps: list[tuple[str, Json, str]] = [("document", document, "")]
    while steps:
        shape, node, pointer = steps.pop()
        if shape.startswith("[") and isinstance(node, list):
            steps += [(shape[1:-1], item, join_pointer(pointer, index)) for index, item in enumerate(node)]
        elif shape.startswith("{") and isinstance(node, dict):
            steps += [(shape[1:-1], item, join_pointer(pointer, key)) for key, item in node.items()]
        elif shape in OPENAPI_3_2 and isinstance(node, dict):
            yield shape, node, pointer
            rule = OPENAPI_3_2[shape]
            for key, value in node.items():
                inner = rule.fields.get(key, None if key.startswith("x-") else rule.other)
                if inner and isinstance(value, (dict, list)):
                    steps.append((inner, value, join_pointer(pointer, key)))


def _check_root(document: JsonObject) -> Iterator[Fault]:
    if not any(key in document for key in ("paths", "components", "webhooks")):
        yield Fault("", "neither paths nor components nor webhooks stand here", "Add paths")


def _check_paths(document: JsonObject) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for path in document.get("paths", {}):
        if path.startswith("x-"):
            continue
        pointer = join_pointer("/paths", path)
        if not path.startswith("/"):
            yield Fault(pointer, f"the path {path!r} does not begin with /", f"Write '/{path}'")
        plain = _TEMPLATE_NAME.sub("{}", path)
        if plain in seen:
            yield Fault(pointer, f"the path differs from {seen[plain]} in names of parameters only", "Merge the two")
        seen.setdefault(plain, path)
        for name, count in Counter(_TEMPLATE_NAME.findall(path)).items():
            if count > 1 or not name:
                yield Fault(pointer, f"{{{name}}} in the path is empty or stands there twice", "Name each part once")
        if set(_TEMPLATE_NAME.sub("", path)) & {"{", "}"}:
            yield Fault(pointer, "a brace of the path has no partner", "Write parameters as {name}")


def _check_operation_ids(operations: list[WrittenOperation]) -> Iterator[Fault]:
    seen: dict[str, WrittenOperation] = {}
    for operation in operations:
        operation_id = operation.node.get("operationId")
        place = join_pointer(operation.pointer, "operationId")
        if operation_id == "":
            yield Fault(place, "operationId is empty", "Write a name or remove it")
        elif operation_id in seen and seen[operation_id].pointer != operation.pointer:
            other = f"{seen[operation_id].method} {seen[operation_id].path}"
            yield Fault(place, f"operationId {operation_id} is that of {other} too", "Choose another one")
        elif operation_id is not None:
            seen[operation_id] = operation


def _check_template(operation: WrittenOperation) -> Iterator[Fault]:
    """Compare the names in the path with the parameters that are declared ``in: path``."""
    if any("name" not in part.node or "in" not in part.node for part in operation.parameters):
        return  # a parameter is broken, which was reported; it may be the one that seems to be missing
    in_template = set(_TEMPLATE_NAME.findall(operation.path))
    declared = {part.node["name"]: part.pointer for part in operation.parameters if part.node["in"] == "path"}
    for name in sorted(in_template - declared.keys()):
        yield Fault(
            operation.pointer, f"the path's {{{name}}} is not declared", f"Add a parameter {name} with in: path"
        )
    for name in sorted(declared.keys() - in_template):
        yield Fault(
            declared[name],
            f"the path {operation.path} has no {{{name}}} for this parameter",
            "Add it to the path or remove the parameter",
        )


def _check_security(document: JsonObject, holder: JsonObject, pointer: str) -> Iterator[Fault]:
    known = document.get("components", {}).get("securitySchemes", {})
    for index, requirement in enumerate(holder.get("security", [])):
        for name in requirement:
            if name not in known:
                names = ", ".join(known) or "none"
                place = join_pointer(pointer, "security", index, name)
                yield Fault(place, f"no security scheme {name} is declared (declared: {names})", "Declare it")


def _check_query(operation: WrittenOperation) -> Iterator[Fault]:
    """Yield a fault where the whole query string and single values of it are declared."""
    places = [part.node.get("in") for part in operation.parameters]
    if places.count("querystring") > 1 or ("querystring" in places and "query" in places):
        found = "beside a parameter in: querystring nothing else of the query string can be declared"
        yield Fault(operation.pointer, found, "Declare it in one way")


def _check_duplicates(operation: WrittenOperation) -> Iterator[Fault]:
    seen = set()
    for parameter, pointer in operation.parameters:
        identity = (parameter.get("name"), parameter.get("in"))
        if identity in seen and None not in identity:
            yield Fault(pointer, f"the parameter {identity[0]} stands here twice", "Remove one of them")
        seen.add(identity)


def _check_parameter(parameter: JsonObject, pointer: str) -> Iterator[Fault]:
    location = parameter.get("in")
    if location is None:
        return
    if location not in _LOCATIONS:
        place = join_pointer(pointer, "in")
        yield Fault(place, f"no parameter can be in: {location}", f"Write {', '.join(_LOCATIONS)}")
        return
    if location == "path" and parameter.get("required") is not True:
        yield Fault(pointer, "a parameter in: path must be required", "Write required: true")
    if parameter.get("style", _STYLES[location][0]) not in _STYLES[location] and OWN_STYLE not in parameter:
        styles = ", ".join(_STYLES[location])
        yield Fault(
            join_pointer(pointer, "style"),
            f"a parameter in: {location} cannot have style {parameter['style']}",
            f"Write one of {styles}",
        )
    if ("schema" in parameter) == ("content" in parameter):
        found = "both schema and content stand" if "schema" in parameter else "neither schema nor content stands"
        yield Fault(pointer, f"{found} in the parameter {parameter.get('name', '')}", "Write one of them, schema")
    elif location == "querystring" and "content" not in parameter:
        yield Fault(pointer, "a parameter in: querystring has a schema of its own", "Write it under content")
    elif len(parameter.get("content", {"one": {}})) != 1:
        yield Fault(join_pointer(pointer, "content"), "a parameter has exactly one media type", "Keep one")


def _check_operation(operation: JsonObject, pointer: str) -> Iterator[Fault]:
    for status in operation.get("responses", {}):
        if not status.startswith("x-") and not _STATUS.fullmatch(status):
            place = join_pointer(pointer, "responses", status)
            yield Fault(place, f"{status!r} is no status", "Write one like 200, 4XX, or default")


def _check_body(body: JsonObject, pointer: str) -> Iterator[Fault]:
    if body.get("content") == {}:
        yield Fault(join_pointer(pointer, "content"), "the body has no media type", "Add one like application/json")
    yield from _check_content(body, pointer)


def _check_content(holder: JsonObject, pointer: str) -> Iterator[Fault]:
    for media_type in holder.get("content", {}):
        if "/" not in media_type:
            place = join_pointer(pointer, "content", media_type)
            yield Fault(place, f"{media_type!r} is no media type", "Write one like application/json")


def _check_scheme(scheme: JsonObject, pointer: str) -> Iterator[Fault]:
    kind = scheme.get("type")
    if kind is not None and kind not in _SCHEME_NEEDS:
        yield Fault(
            join_pointer(pointer, "type"),
            f"the security scheme type {kind} is unknown",
            f"Write {', '.join(_SCHEME_NEEDS)}",
        )
    for key in _SCHEME_NEEDS.get(str(kind), ()):
        if key not in scheme:
            yield Fault(pointer, f"a security scheme of type {kind} needs {key}", f"Add {key}")
    if kind == "apiKey" and scheme.get("in", "query") not in ("query", "header", "cookie"):
        yield Fault(join_pointer(pointer, "in"), f"no key can be in: {scheme['in']}", "Write header, query or cookie")


def _check_path_item(item: JsonObject, pointer: str) -> Iterator[Fault]:
    for method in item.get("additionalOperations", {}):
        place = join_pointer(pointer, "additionalOperations", method)
        if method.lower() in METHODS:
            yield Fault(place, f"{method} has a field of its own", f"Move it to {method.lower()}")
        elif not _METHOD.fullmatch(method):
            yield Fault(place, f"{method!r} is no method", "Write letters, digits and - only")


_CHECKS: Mapping[str, tuple[Callable[[JsonObject, str], Iterator[Fault]], ...]] = {
    "callback": (check_callback,),
    "example": (check_example,),
    "flows": (check_flows,),
    "header": (check_header, check_examples),
    "license": (check_license,),
    "link": (check_link,),
    "media-type": (check_encodings, check_examples),
    "operation": (_check_operation,),
    "parameter": (_check_parameter, check_examples),
    "path-item": (_check_path_item,),
    "request-body": (_check_body,),
    "response": (_check_content,),
    "schema": (check_schema,),
    "security-scheme": (_check_scheme,),
    "server": (check_server,),
    "server-variable": (check_variable,),
}
