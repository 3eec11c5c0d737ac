"""The kinds of things that a document tells of: what creates, reads, changes, deletes and lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pymacaron_testing.declared import branches_of
from pymacaron_testing.resources import normalise, singular

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Api, Body, Operation, Response
    from pymacaron_testing.hints import HintBook

_PARAMETER = re.compile(r"\{([^{}]+)\}")
_LINKED_FIELD = re.compile(r"\$response\.body#/(?:[^/]+/)?([^/]+)")
_USUAL_KEYS = ("id", "uuid", "guid", "key", "slug", "code", "name")
_LISTS = ("items", "data", "results", "entries", "records", "content", "values", "list")


@dataclass(frozen=True, slots=True)
class Kind:
    """Things of one sort.

    name: singular, normalised, ``pet``. item_path: ``/pets/{pet_id}``, empty where things are only made and listed;
    collection_path: what comes before the key. key: the path parameter that names one thing, empty without item_path.
    key_field: the property of a created thing that holds its key; empty: only a Location header can tell. updaters:
    PATCH before PUT. list_items: the property of a list's answer that holds the things, empty where the answer is the
    array itself. answer_wrapper, body_wrapper: the one property that the thing stands in, in answers of the creator
    and the reader and in their bodies; empty: it stands there itself. parent: item_path of the kind that it belongs
    to, empty without one.
    """

    name: str
    item_path: str
    collection_path: str
    key: str
    key_field: str
    creator: Operation | None = None
    reader: Operation | None = None
    updaters: tuple[Operation, ...] = ()
    deleter: Operation | None = None
    lister: Operation | None = None
    list_items: str = ""
    answer_wrapper: str = ""
    body_wrapper: str = ""
    parent: str = ""

    @property
    def parent_keys(self) -> tuple[str, ...]:
        """Path parameters of the creator: what names the thing that a new one belongs to."""
        return tuple(_PARAMETER.findall(self.creator.path)) if self.creator else ()

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All operations of the kind."""
        some = (self.creator, self.reader, *self.updaters, self.deleter, self.lister)
        return tuple(operation for operation in some if operation is not None)

    def read_thing(self, answer: Json) -> JsonObject | None:
        """Return the thing that the JSON *answer* of creator, reader or updater holds; None if it holds none."""
        if self.answer_wrapper and isinstance(answer, dict):
            answer = answer.get(self.answer_wrapper)
        return answer if isinstance(answer, dict) else None

    def read_list(self, answer: Json) -> list[Json] | None:
        """Return the things that the JSON *answer* of the lister holds; None if it holds no list."""
        if self.list_items and isinstance(answer, dict):
            answer = answer.get(self.list_items)
        return answer if isinstance(answer, list) else None

    def read_key(self, thing: Json) -> str | None:
        """Return what names *thing* in paths, None if it does not tell."""
        value = thing.get(self.key_field) if isinstance(thing, dict) and self.key_field else None
        return str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None


def find_kinds(api: Api, hints: HintBook) -> tuple[Kind, ...]:
    """Return the kinds of *api*, those that belong to others after these."""
    paths = list(dict.fromkeys(operation.path for operation in api.operations))
    found = [kind for path in paths if path.rstrip("/").endswith("}") and (kind := _read_kind(api, hints, path))]
    known = {operation.path for kind in found for operation in kind.operations}
    found += [kind for path in paths if path not in known and (kind := _read_kind_without_items(api, path))]
    kinds = [_with_parent(kind, found) for kind in found]
    return tuple(sorted(kinds, key=lambda kind: (kind.item_path or kind.collection_path).count("{")))


def find_singletons(api: Api) -> tuple[Kind, ...]:
    """Return what there is one of and callers change: a path without parameters that is read and changed, ``/me``."""
    found: list[Kind] = []
    for reader in api.operations:
        schema = answer_schema(reader)
        same = [other for other in api.operations if other.path == reader.path]
        updaters = tuple(other for other in same if other.method.upper() in {"PATCH", "PUT"} and body_schema(other))
        is_single = reader.method.upper() == "GET" and "{" not in reader.path and updaters
        if is_single and find_list(schema, api.document) is None and properties_of(schema, api.document):
            found.append(
                Kind(
                    name=_name_kind(reader.path, ""),
                    item_path=reader.path,
                    collection_path=reader.path,
                    key="",
                    key_field="",
                    reader=reader,
                    updaters=updaters,
                    answer_wrapper=_find_wrapper(schema, api.document),
                    body_wrapper=_find_wrapper(body_schema(updaters[0]), api.document),
                )
            )
    return tuple(found)


def find_kind_of(kinds: tuple[Kind, ...], operation: Operation) -> Kind | None:
    """Return the kind that *operation* creates, reads, changes, deletes or lists."""
    return next((kind for kind in kinds if operation in kind.operations), None)


def find_parent(kinds: tuple[Kind, ...], path: str) -> Kind | None:
    """Return the kind of the thing that *path* names last before its end: of ``/pets/{id}/toys`` that is pet."""
    before = path.rstrip("/").rpartition("}")[0] + "}"
    return next((kind for kind in kinds if kind.item_path and kind.item_path.rstrip("/") == before), None)


def properties_of(schema: JsonObject | None, document: JsonObject) -> dict[str, JsonObject]:
    """Return the named properties of *schema*, those of what it refers to and is combined from too."""
    found: dict[str, JsonObject] = {}
    for branch in branches_of(schema or {}, document):
        found.update({key: rule for key, rule in branch.get("properties", {}).items() if isinstance(rule, dict)})
    return found


def answer_schema(operation: Operation | None) -> JsonObject | None:
    """Return the schema of the JSON body of the first declared 2xx that has one."""
    responses: tuple[Response, ...] = operation.responses if operation else ()
    for response in responses:
        if response.status.startswith("2") or response.status == "default":
            for media in response.media:
                if media.is_json and media.schema is not None:
                    return media.schema
    return None


def body_schema(operation: Operation | None) -> JsonObject | None:
    """Return the schema of the JSON body that *operation* takes."""
    body: Body | None = operation.body if operation else None
    return next((media.schema for media in body.media if media.is_json), None) if body else None


def items_schema(schema: JsonObject | None, document: JsonObject) -> JsonObject | None:
    """Return the schema of the items of an array's schema; None if it is none."""
    for branch in branches_of(schema or {}, document):
        if isinstance(branch.get("items"), dict):
            items: JsonObject = branch["items"]
            return items
    return None


def _read_kind(api: Api, hints: HintBook, path: str) -> Kind | None:
    """Return the kind whose things *path* names; None where nothing creates, reads or lists them."""
    key = _PARAMETER.findall(path)[-1]
    collection = path.rstrip("/")[: -len(key) - 2].rstrip("/")
    by_method = {other.method.upper(): other for other in api.operations if other.path == path}
    name = _name_kind(collection, key)
    near = [other for other in api.operations if other.path.rstrip("/") == collection]
    lister = next((other for other in near if other.method.upper() == "GET"), None)
    list_items = find_list(answer_schema(lister), api.document)
    if list_items is None:
        lister, list_items = None, ""
    creator = _find_creator(api, hints, path=path, name=name, near=near)
    if creator is None and lister is None and "GET" not in by_method:
        return None
    told = next((hints.of(other).key for other in (*by_method.values(), *near) if hints.of(other).key), "")
    reader = by_method.get("GET")
    wrapper = _find_wrapper(answer_schema(reader) or answer_schema(creator), api.document)
    things = [
        inside(answer_schema(creator), wrapper, api.document),
        inside(answer_schema(reader), wrapper, api.document),
        items_schema(inside(answer_schema(lister), list_items, api.document), api.document),
    ]
    linked = _find_link(api, creator, path, key)
    return Kind(
        name=name,
        item_path=path,
        collection_path=collection,
        key=key,
        key_field=told or linked or _find_key_field(key, name, [properties_of(one, api.document) for one in things]),
        creator=creator,
        reader=reader,
        updaters=tuple(by_method[method] for method in ("PATCH", "PUT") if method in by_method),
        deleter=by_method.get("DELETE"),
        lister=lister,
        list_items=list_items,
        answer_wrapper=wrapper,
        body_wrapper=_find_wrapper(body_schema(creator), api.document),
    )


def _read_kind_without_items(api: Api, path: str) -> Kind | None:
    """Return the kind whose things *path* makes and lists, no path naming a single one."""
    by_method = {other.method.upper(): other for other in api.operations if other.path == path}
    creator, lister = by_method.get("POST"), by_method.get("GET")
    list_items = find_list(answer_schema(lister), api.document)
    if creator is None or list_items is None:
        return None
    wrapper = _find_wrapper(answer_schema(creator), api.document)
    name = _name_kind(path, "")
    thing = properties_of(inside(answer_schema(creator), wrapper, api.document), api.document)
    return Kind(
        name=name,
        item_path="",
        collection_path=path.rstrip("/"),
        key="",
        key_field=_find_key_field("id", name, [thing]),
        creator=creator,
        lister=lister,
        list_items=list_items,
        answer_wrapper=wrapper,
        body_wrapper=_find_wrapper(body_schema(creator), api.document),
    )


def _with_parent(kind: Kind, kinds: list[Kind]) -> Kind:
    path = kind.creator.path if kind.creator else kind.collection_path
    parent = find_parent(tuple(kinds), path) if "{" in path else None
    if parent is None or parent.item_path == kind.item_path:
        return kind
    return replace(kind, parent=parent.item_path)


def _name_kind(collection: str, key: str) -> str:
    words = [part for part in collection.split("/") if part and "{" not in part]
    return singular(words[-1]) if words else normalise(key).removesuffix("id")


def _find_creator(api: Api, hints: HintBook, *, path: str, name: str, near: list[Operation]) -> Operation | None:
    """Return what makes things of *path*: what is told, the POST of its collection, a link, a like name, its PUT."""
    posts = [other for other in api.operations if other.method.upper() == "POST"]
    for other in api.operations:
        if singular(hints.of(other).creates) == name and hints.of(other).creates:
            return other
    for other in posts:
        if other in near:
            return other
    for other in posts:
        if any(_targets(api, link, path) for link in _links_of(api, other)):
            return other
    reader = next((other for other in api.operations if (other.method.upper(), other.path) == ("GET", path)), None)
    for other in posts:
        words = [part for part in other.path.split("/") if part and "{" not in part]
        is_alike = not other.path.rstrip("/").endswith("}") and words and singular(words[-1]) == name
        if is_alike and answer_schema(other) and answer_schema(other) == answer_schema(reader):
            return other
    return next((other for other in api.operations if (other.method.upper(), other.path) == ("PUT", path)), None)


def _links_of(api: Api, operation: Operation) -> Iterator[JsonObject]:
    node = api.document.get("paths", {}).get(operation.path, {}).get(operation.method.lower(), {})
    for response in node.get("responses", {}).values():
        for link in response.get("links", {}).values() if isinstance(response, dict) else ():
            if isinstance(link, dict) and isinstance(link.get("parameters"), dict):
                yield link


def _targets(api: Api, link: JsonObject, path: str) -> bool:
    """Tell whether *link* leads to an operation of *path*."""
    reference = str(link.get("operationRef", "")).replace("~1", "/").replace("~0", "~")
    return f"paths/{path}/" in reference.removeprefix("#/") or any(
        other.path == path and other.operation_id == link.get("operationId") for other in api.operations
    )


def _find_link(api: Api, creator: Operation | None, path: str, key: str) -> str:
    """Return the property that a link of *creator* hands over as the path parameter *key*."""
    for link in _links_of(api, creator) if creator else ():
        value = link["parameters"].get(key, link["parameters"].get(f"path.{key}"))
        match = _LINKED_FIELD.fullmatch(str(value))
        if match and _targets(api, link, path):
            return match.group(1)
    return ""


def find_list(schema: JsonObject | None, document: JsonObject) -> str | None:
    """Return where an answer holds its list: "" it is one itself, else a property; None if there is none."""
    if schema is None:
        return None
    if items_schema(schema, document) is not None:
        return ""
    arrays = [key for key, rule in properties_of(schema, document).items() if items_schema(rule, document) is not None]
    return next((key for key in _LISTS if key in arrays), arrays[0] if len(arrays) == 1 else None)


def _find_wrapper(schema: JsonObject | None, document: JsonObject) -> str:
    """Return the property that a thing stands in: the only one, and an object with properties of its own."""
    properties = properties_of(schema, document)
    if len(properties) != 1:
        return ""
    name, rule = next(iter(properties.items()))
    return name if properties_of(rule, document) else ""


def inside(schema: JsonObject | None, wrapper: str, document: JsonObject) -> JsonObject | None:
    """Return the schema of the property *wrapper* of *schema*, or *schema* itself where *wrapper* is empty."""
    return properties_of(schema, document).get(wrapper) if wrapper else schema


def _find_key_field(key: str, name: str, things: list[dict[str, JsonObject]]) -> str:
    """Return the property that most likely holds the path parameter *key* of a thing called *name*."""
    plain = normalise(key)
    spellings = [plain, plain.removeprefix(name), f"{name}{plain}"]
    usual = [word for word in _USUAL_KEYS if plain.endswith(word) and plain != word]
    for properties in things:
        by_name = {normalise(field): field for field in properties}
        for candidate in (*spellings, *usual):
            if candidate in by_name:
                return by_name[candidate]
    if plain != name and not plain.endswith(("id", "key", "number", "no")):
        return ""
    return next((field for properties in things for field in ("id", "_id", "uuid") if field in properties), "")
