"""What jsonschema-rs is told about the schemas of an api, so that it judges as JSON Schema and OpenAPI mean it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal

from jsonschema_rs import Draft202012Validator, FancyRegexOptions, Registry

from pymacaron.formats import FORMATS, INTEGER_FORMATS, is_of_format
from pymacaron.json_types import Json, JsonObject
from pymacaron.patterns import translate_pattern
from pymacaron.spec import RESOURCES_KEY, find_resources
from pymacaron.spec.grammar import OPENAPI_3_1
from pymacaron.spec.schemas import rebuild

if TYPE_CHECKING:
    from jsonschema_rs import KeywordValidator

Direction = Literal["request", "response"]
REF = "#/components/schemas/"
_HOME = "urn:pymacaron:schemas"
_HOME_REF = f"{_HOME}#/$defs/"
# Source: OpenAPI 3.1, "Schema Object", readOnly and writeOnly: `required` takes effect in the other direction only.
FOREIGN: Mapping[Direction, str] = {"request": "readOnly", "response": "writeOnly"}
# What jsonschema-rs would assert as well; whole resources are given to it as they are.
_ANNOTATIONS = (
    *("idn-email", "idn-hostname", "uri-reference", "iri", "iri-reference", "uri-template", "json-pointer"),
    *("relative-json-pointer", "regex"),
)
_FORMATS: dict[str, Callable[..., bool]] = {
    **{name: partial(is_of_format, name=name) for name in FORMATS},
    **dict.fromkeys(_ANNOTATIONS, lambda _text: True),
}
# A text that makes a pattern try more ways than these is refused: it is made to waste time.
_PATTERNS = FancyRegexOptions(backtrack_limit=100_000)


class _WriteOnly:
    """A keyword that no answer keeps: what is only written has to stay here.

    Source: OpenAPI 3.1, "Schema Object": write-only properties should not be sent as part of the response.
    """

    def __init__(self, _schema: JsonObject, value: Json, _path: list[str | int]) -> None:
        self._is_write_only = value is True

    def validate(self, _instance: Json) -> None:
        if self._is_write_only:
            raise ValueError("it is write-only")


_KEYWORDS: dict[Direction, dict[str, type[KeywordValidator]]] = {"request": {}, "response": {"writeOnly": _WriteOnly}}


class Judge:
    """The schemas of one api as jsonschema-rs reads them."""

    def __init__(self, schemas: Mapping[str, JsonObject]) -> None:
        """Take all named *schemas*; they are read when the first one is compiled."""
        self.schemas = schemas
        self._registries: dict[Direction, Registry] = {}

    def compile(self, schema: Json, direction: Direction = "request") -> Draft202012Validator:
        """Return the validator of *schema*, whose references lead to named schemas.

        Raises: jsonschema_rs.ValidationError: it is none.
        """
        if direction not in self._registries:
            adapted = {name: adapt_schema(named, self.schemas, direction) for name, named in self.schemas.items()}
            resources = find_resources([schema, dict(self.schemas)])
            self._registries[direction] = Registry([(_HOME, {"$defs": adapted}), *resources.items()])
        return Draft202012Validator(
            adapt_schema(schema, self.schemas, direction),
            registry=self._registries[direction],
            offline=True,
            formats=_FORMATS,
            validate_formats=True,
            pattern_options=_PATTERNS,
            keywords=_KEYWORDS[direction],
        )


class SameSchemas:
    """A key of a cache that stands for one mapping of schemas, whatever is in it."""

    def __init__(self, schemas: Mapping[str, JsonObject]) -> None:
        """Keep the mapping, so that no other can take its identity."""
        self.schemas = schemas

    def __hash__(self) -> int:
        return id(self.schemas)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SameSchemas) and other.schemas is self.schemas


def judge_of(schemas: Mapping[str, JsonObject]) -> Judge:
    """Return the judge of *schemas*; the operations of an api share one."""
    return _make_judge(SameSchemas(schemas))


@lru_cache(maxsize=8)
def _make_judge(key: SameSchemas) -> Judge:
    return Judge(key.schemas)


def adapt_schema(schema: Json, schemas: Mapping[str, JsonObject], direction: Direction) -> Json:
    """Return *schema* without formats that are annotations and without demands of the other *direction*."""

    def adapt(kind: str, node: JsonObject) -> Json:
        if kind != "schema":
            return node
        node = _adapt_format({key: value for key, value in node.items() if key != RESOURCES_KEY})
        if "pattern" in node:
            node["pattern"] = translate_pattern(node["pattern"])
        if "patternProperties" in node:
            patterns = node["patternProperties"].items()
            node["patternProperties"] = {translate_pattern(pattern): inner for pattern, inner in patterns}
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith(REF):
            node["$ref"] = reference.replace(REF, _HOME_REF, 1)
        foreign = set(find_foreign(node, schemas, FOREIGN[direction]))
        return drop_required(node, foreign) if foreign else node

    return rebuild(OPENAPI_3_1, "schema", schema, adapt)


def find_foreign(schema: Json, schemas: Mapping[str, JsonObject], mark: str) -> Iterator[str]:
    """Yield the names of the properties of *schema*, and of what it is composed of, that carry the *mark*.

    mark: ``readOnly`` or ``writeOnly``.
    """
    for part in _composition(schema, schemas):
        for name, inner in part.get("properties", {}).items():
            if any(side.get(mark) is True for side in _composition(inner, schemas)):
                yield name


def _composition(schema: Json, schemas: Mapping[str, JsonObject], seen: tuple[str, ...] = ()) -> Iterator[JsonObject]:
    """Yield *schema* and what it refers to or joins by ``allOf``."""
    if not isinstance(schema, dict):
        return
    yield schema
    for part in schema.get("allOf", ()):
        yield from _composition(part, schemas, seen)
    name = str(schema.get("$ref", "")).removeprefix(_HOME_REF).removeprefix(REF)
    if name and name not in seen:
        yield from _composition(schemas.get(name), schemas, (*seen, name))


def drop_required(node: JsonObject, names: set[str]) -> JsonObject:
    """Return *node* in which neither it nor its inline parts require one of *names*."""
    if "required" in node:
        node = node | {"required": [name for name in node["required"] if name not in names]}
    if "allOf" in node:
        parts = [drop_required(part, names) if isinstance(part, dict) else part for part in node["allOf"]]
        node = node | {"allOf": parts}
    return node


def _adapt_format(node: JsonObject) -> JsonObject:
    """Spell out the bounds of integer formats; take out what is no text format either."""
    name = node.get("format")
    if name is None or name in FORMATS:
        return node
    del node["format"]
    types = node.get("type", ())
    if name in INTEGER_FORMATS and ("integer" in types if isinstance(types, list) else types == "integer"):
        least, most = INTEGER_FORMATS[name]
        node["allOf"] = [
            *node.get("allOf", ()),
            {"if": {"type": "number"}, "then": {"minimum": least, "maximum": most}},
        ]
    return node
