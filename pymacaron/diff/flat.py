"""What a schema demands of a value, in one object: references followed, allOf merged, spellings made one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from pymacaron.diff.merge import local_reference, merge_schemas, tidy_schema
from pymacaron.json_types import Json, JsonObject
from pymacaron.spec import Api
from pymacaron.spec.pointers import follow_pointer, join_pointer, pointer_of_fragment, split_pointer
from pymacaron.spec.schemas import schema_object

Direction = Literal["request", "answer"]

VARIANTS = ("anyOf", "oneOf")
# A schema with one of these demands more than its other keywords say one by one.
COMPOSITES = frozenset({"anyOf", "oneOf", "allOf", "not", "if", "$ref"})
_HIDING = {"request": "readOnly", "answer": "writeOnly"}


class Part(NamedTuple):
    """A schema as written and where it stands in its text, as `Api.place_of` takes it."""

    schema: JsonObject
    pointer: str


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two documents, looked at in one direction."""

    api: Api
    direction: Direction

    @property
    def hiding(self) -> str:
        """Return the keyword that says of a property that it does not travel in this direction."""
        return _HIDING[self.direction]

    def resolve(self, ref: str) -> Part:
        """Return what *ref*, a reference of the upgraded document, leads to."""
        pointer = pointer_of_fragment(ref[1:])
        tokens = split_pointer(pointer)
        schemas = self.named_schemas
        if tokens[:2] == ["components", "schemas"] and len(tokens) > 2 and tokens[2] in schemas:  # noqa: PLR2004
            inner = join_pointer("", *tokens[3:])
            place = self.api.schema_pointers.get(tokens[2], join_pointer("/components/schemas", tokens[2]))
            return Part(schema_object(follow_pointer(schemas[tokens[2]], inner)), place + inner)
        return Part(schema_object(follow_pointer(self.api.document, pointer)), pointer)

    def follow(self, part: Part) -> Part:
        """Return what *part* refers to, if it does nothing but that."""
        seen: set[str] = set()
        while (ref := local_reference(part.schema)) and ref not in seen and len(tidy_schema(part.schema)) == 1:
            seen.add(ref)
            part = self.resolve(ref)
        return part

    @property
    def named_schemas(self) -> Mapping[str, JsonObject]:
        """Return the named schemas by class name: as requests are held to them, or as answers are."""
        if self.direction == "request":
            return self.api.schemas
        named: Mapping[str, JsonObject] = self.api.document.get("components", {}).get("schemas", {})
        return named

    def is_hidden(self, schema: Json) -> bool:
        """Tell whether a property of that *schema* does not travel in this direction."""
        return any(node.get(self.hiding) is True for node in self._composed_of(schema, ()))

    def _composed_of(self, schema: Json, seen: tuple[str, ...]) -> Iterator[JsonObject]:
        node = schema_object(schema)
        yield node
        ref = local_reference(node)
        if ref is not None and ref not in seen:
            yield from self._composed_of(self.resolve(ref).schema, (*seen, ref))
        for inner in node.get("allOf", ()):
            yield from self._composed_of(inner, seen)


@dataclass(frozen=True, slots=True)
class Flat:
    """A flattened schema.

    schema: without ``$ref``; ``allOf`` only where it cannot be merged; ``type`` a list, ``const`` an ``enum``; without
    annotations and without properties that do not travel. places: keyword, or ``properties`` and name -> where that
    stands, if not at *pointer*. hidden: properties that do not travel.
    """

    schema: JsonObject
    pointer: str
    places: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()

    def place(self, *tokens: str) -> str:
        """Return where a keyword, or a property, stands; this schema's place where it has none such."""
        if tokens in self.places:
            return self.places[tokens]
        node: Json = self.schema
        for token in tokens:
            if not isinstance(node, dict) or token not in node:
                return self.pointer
            node = node[token]
        return join_pointer(self.pointer, *tokens)

    def child(self, *tokens: str) -> Part:
        """Return the schema under those keys; one that allows anything where there is none."""
        node: Json = self.schema
        for token in tokens:
            node = node.get(token, {})
        return Part(schema_object(node), self.place(*tokens))

    def children(self, keyword: str) -> list[Part]:
        """Return the schemas in a list, as ``oneOf``."""
        place = self.place(keyword)
        return [
            Part(schema_object(inner), join_pointer(place, index))
            for index, inner in enumerate(self.schema.get(keyword, ()))
        ]


def flatten(side: Side, part: Part) -> Flat:
    """Return *part* flattened, without what does not travel in the direction of *side*."""
    flat = _gather(side, part, ())
    properties = flat.schema.get("properties", {})
    hidden = frozenset(name for name, schema in properties.items() if side.is_hidden(schema))
    if not hidden:
        return flat
    schema = flat.schema | {"properties": {name: properties[name] for name in properties if name not in hidden}}
    if "required" in schema:
        schema["required"] = [name for name in schema["required"] if name not in hidden]
    return replace(flat, schema=tidy_schema(schema), hidden=hidden)


def _gather(side: Side, part: Part, seen: tuple[str, ...]) -> Flat:
    node, pointer = part
    pieces = []
    ref = local_reference(node)
    if ref is not None and ref not in seen:
        pieces.append(_gather(side, side.resolve(ref), (*seen, ref)))
    for index, inner in enumerate(node.get("allOf", ())):
        pieces.append(_gather(side, Part(schema_object(inner), join_pointer(pointer, "allOf", index)), seen))
    # What is unevaluated depends on all the pieces together.
    late = ("unevaluatedProperties", "unevaluatedItems") if pieces else ()
    taken = ("allOf", *late) if ref is None else ("$ref", "allOf", *late)
    own = tidy_schema({key: value for key, value in node.items() if key not in taken})
    if own or not pieces:
        pieces.append(Flat(own, pointer))
    merged = pieces[0]
    for piece in pieces[1:]:
        merged = _merge(merged, piece, pointer)
    schema = tidy_schema(merged.schema | {key: node[key] for key in late if key in node})
    return _open_variants(side, replace(merged, schema=schema), seen)


def _merge(first: Flat, second: Flat, pointer: str) -> Flat:
    places: dict[tuple[str, ...], str] = {}
    for piece in (first, second):
        places |= piece.places
        for key, value in piece.schema.items():
            places.setdefault((key,), join_pointer(piece.pointer, key))
            if key == "properties":
                places |= {
                    (key, name): piece.places.get((key, name), join_pointer(piece.pointer, key, name)) for name in value
                }
    return Flat(merge_schemas(first.schema, second.schema), pointer, places)


def _open_variants(side: Side, flat: Flat, seen: tuple[str, ...]) -> Flat:
    """Return *flat* with a lone variant, or one beside null, merged into it."""
    for keyword in VARIANTS:
        variants = flat.children(keyword)
        others = [variant for variant in variants if not _is_null(variant.schema)]
        if len(others) != 1 or len(variants) > 2:  # noqa: PLR2004 - one and null
            continue
        inner = _gather(side, others[0], seen)
        if len(variants) > 1:
            if COMPOSITES & inner.schema.keys() or not {"type", "enum"} & inner.schema.keys():
                continue
            inner = replace(inner, schema=_allow_null(inner.schema))
        rest = {key: value for key, value in flat.schema.items() if key not in (keyword, "discriminator")}
        merged = _merge(Flat(rest, flat.pointer, flat.places), inner, flat.pointer) if rest else inner
        return replace(merged, schema=tidy_schema(merged.schema))
    return flat


def _is_null(schema: JsonObject) -> bool:
    return tidy_schema(schema) in ({"type": ["null"]}, {"enum": [None]}, {"type": ["null"], "enum": [None]})


def _allow_null(schema: JsonObject) -> JsonObject:
    widened = dict(schema)
    if "null" not in schema.get("type", ("null",)):
        widened["type"] = [*schema["type"], "null"]
    if None not in schema.get("enum", (None,)):
        widened["enum"] = [*schema["enum"], None]
    return widened
