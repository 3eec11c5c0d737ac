"""URIs inside of a bundle: which ``$id`` and which ``$anchor`` stand at which place of its tree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from jsonschema_specifications import REGISTRY as METASCHEMAS  # type: ignore[import-untyped]
from referencing import Registry, Resource
from referencing.exceptions import NoSuchResource, Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.pointers import follow_pointer, join_pointer, split_pointer

_MARKS = ("$id", "id", "$anchor", "$dynamicAnchor")


def find_metaschema(uri: str) -> Json:
    """Return the schema that JSON Schema's own documents publish at *uri*, None for other addresses."""
    resource = METASCHEMAS.get(uri)
    return None if resource is None else resource.contents


class Addresses:
    """What JSON Schema's keywords name, by the library `referencing`; places are pointers of the bundle's tree.

    Source: JSON Schema 2020-12, core, section 8.2.
    """

    def __init__(self, dialect: str) -> None:
        """Begin with no schema. dialect: what schemas are written in that do not say it."""
        self._default = specification_with(dialect, default=DRAFT202012)
        self._registry: Registry[Json] = Registry()
        self._files: dict[str, list[tuple[str, Json]]] = {}
        self._places: dict[int, str] = {}
        self._bases: dict[int, str] = {}

    def add(self, uri: str, schemas: Sequence[tuple[str, Json]]) -> bool:
        """Take the *schemas* (place, schema) of the file at *uri*; may be called again when more of them are known.

        Returns whether they could be searched: a keyword of the wrong type forbids it.
        """
        known = self._files.setdefault(uri, [])
        new = [entry for entry in schemas if entry not in known]
        if not new:
            return True
        known += new
        for place, schema in new:
            self._remember_places(place, schema)
        resource = Resource.from_contents(collect_schemas(known), default_specification=self._default)
        try:
            self._registry = self._registry.with_resource(uri, resource).crawl()
        except (AttributeError, LookupError, TypeError, ValueError):
            return False
        self._bases = {
            id(resource.contents): found for found, resource in self._registry.items() if found not in self._files
        }
        return True

    def schemas_of(self, uri: str) -> Sequence[tuple[str, Json]]:
        """Return the schemas that `add` took for the file at *uri*."""
        return self._files.get(uri, ())

    def find_resource(self, uri: str) -> str | None:
        """Return the place of the schema whose ``$id`` is *uri*; a file's own URI is none."""
        resource = None if uri in self._files else self._registry.get(uri)
        return None if resource is None else self._places.get(id(resource.contents))

    def find_anchor(self, uri: str, name: str) -> str | None:
        """Return the place of the anchor *name* in the resource at *uri*."""
        try:
            anchor = self._registry.anchor(uri, name).value
        except (NoSuchResource, Unresolvable):
            return None
        return self._places.get(id(anchor.resource.contents))

    def find_base(self, root: Json, pointer: str, base: str) -> tuple[str, str]:
        """Return the URI that holds at *pointer* of the file *root*, and the pointer of the schema that set it.

        base: the file's own URI.
        """
        found = (base, "")
        place = ""
        node = root
        for token in ["", *split_pointer(pointer)]:
            if place or token:
                place = join_pointer(place, token)
                node = follow_pointer(node, join_pointer("", token))
            if id(node) in self._bases:
                found = (self._bases[id(node)], place)
        return found

    def _remember_places(self, place: str, schema: Json) -> None:
        steps = [(place, schema)]
        while steps:
            pointer, node = steps.pop()
            if isinstance(node, dict) and any(key in node for key in _MARKS):
                self._places[id(node)] = pointer
            inner: Iterable[tuple[str | int, Json]] = ()
            if isinstance(node, (dict, list)):
                inner = node.items() if isinstance(node, dict) else enumerate(node)
            steps += [(join_pointer(pointer, key), child) for key, child in inner if isinstance(child, (dict, list))]


def collect_schemas(schemas: Sequence[tuple[str, Json]], file: JsonObject | None = None) -> Json:
    """Return the one schema of a file, or a schema that holds all *schemas* of a *file* that is more than a schema."""
    if len(schemas) == 1 and file is None:
        return schemas[0][1]
    # Every draft looks into allOf.
    return {**(file or {}), "allOf": [schema for _, schema in schemas]}


def write_uri(base: str, pointer: str) -> str:
    """Return the URI of what stands at *pointer* of the resource at *base*."""
    return f"{base}#{quote(pointer, safe='/~!$&()*+,;=:@')}" if pointer else base
