"""What the documents of a service say is secret: ``writeOnly``, ``format: password``, keys of security schemes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pymacaron.redaction import MASK, is_secret_name

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Api

Schemas = Mapping[str, "JsonObject"]

_COMBINING = ("allOf", "anyOf", "oneOf")
_CONDITIONAL = ("if", "then", "else")
_MOST_DEPTH = 64
_MOST_PROPERTIES = 1000


def find_secret_names(apis: Iterable[Api]) -> frozenset[str]:
    """Return, in lower case, the names of properties, parameters and API keys whose values are secret somewhere."""
    names: set[str] = set()
    for api in apis:
        names |= {scheme.key for scheme in api.security_schemes.values() if scheme.type == "apiKey"}
        for operation in api.operations:
            for parameter in operation.parameters:
                if is_secret(parameter.schema, api.schemas):
                    names |= {parameter.name, parameter.keyword}
        for schema in api.schemas.values():
            names |= {name for name, inner in _find_properties(schema) if is_secret(inner, api.schemas)}
    return frozenset(name.lower() for name in names if name)


def is_secret(schema: Json, schemas: Schemas) -> bool:
    """Tell whether *schema* describes a secret, by itself or by what it refers to."""
    return any(one.get("writeOnly") is True or one.get("format") == "password" for one in _flatten([schema], schemas))


class SecretShape:
    """What several schemas together say of one value: whether it is secret, and the shapes of what is in it.

    Shapes of inner values are made when they are first asked for, and kept.
    """

    def __init__(self, described: Sequence[Json], schemas: Schemas) -> None:
        """Take all schemas that may hold for the value, and the document's named ones."""
        self._described = list(_flatten(described, schemas))
        self._schemas = schemas
        self._properties: dict[str, SecretShape] = {}
        self._items: list[SecretShape] = []
        self._most_prefix = max((len(one.get("prefixItems") or ()) for one in self._described), default=0)
        self.is_secret = any(one.get("writeOnly") is True or one.get("format") == "password" for one in self._described)

    def property(self, name: str) -> SecretShape:
        """Return the shape of the value under *name* of an object."""
        shape = self._properties.get(name)
        if shape is None:
            found = list(_properties_at(self._described, name))
            shape = SecretShape(found, self._schemas) if found else ANYTHING
            if len(self._properties) < _MOST_PROPERTIES:
                self._properties[name] = shape
        return shape

    def item(self, index: int) -> SecretShape:
        """Return the shape of an item of an array."""
        while len(self._items) <= min(index, self._most_prefix):
            found = list(_items_at(self._described, len(self._items)))
            self._items.append(SecretShape(found, self._schemas) if found else ANYTHING)
        return self._items[min(index, self._most_prefix)]


class BodyMask:
    """Hides what is secret in one body, whether or not it fits its schema, and remembers it."""

    def __init__(self, names: frozenset[str], shown: frozenset[str]) -> None:
        """Take names of secrets, and names whose values may be shown, ``*`` for all."""
        self.secrets: set[str] = set()
        self._names = names
        self._shown = shown
        self._kinds: dict[str, bool | None] = {}

    def hide(self, value: Json, shape: SecretShape) -> Json:
        """Return a copy of *value* in which secrets are masked, and all texts and numbers that may not be shown."""
        return self._hide(value, shape, "*" in self._shown, _MOST_DEPTH)

    def mask(self, value: Json) -> Json:
        """Return what stands for a secret; its texts and numbers are remembered."""
        self.secrets.update(_texts_of(value))
        return MASK if value is not None else None

    def _hide(self, value: Json, shape: SecretShape, is_shown: bool, depth: int) -> Json:  # noqa: FBT001 - see `hide`
        if shape.is_secret or depth == 0:
            return self.mask(value)
        if isinstance(value, dict):
            hidden = {}
            for name, inner in value.items():
                kind = self._kind_of(name)
                if kind is None:
                    hidden[name] = self.mask(inner)
                else:
                    hidden[name] = self._hide(inner, shape.property(name), is_shown or kind, depth - 1)
            return hidden
        if isinstance(value, list):
            return [self._hide(inner, shape.item(index), is_shown, depth - 1) for index, inner in enumerate(value)]
        return value if is_shown or value is None or isinstance(value, bool) else MASK

    def _kind_of(self, name: str) -> bool | None:
        """Return whether what stands under *name* may be shown; None: it is a secret."""
        if name not in self._kinds:
            lower = name.lower()
            is_named_so = lower not in self._shown and is_secret_name(name)
            self._kinds[name] = None if lower in self._names or is_named_so else lower in self._shown
        return self._kinds[name]


def _flatten(described: Iterable[Json], schemas: Schemas) -> Iterator[JsonObject]:
    """Yield all of *described* and every schema that may hold for the same value."""
    waiting, seen = list(described), set()
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        reference = one.get("$ref") or one.get("$dynamicRef")
        if isinstance(reference, str):
            waiting.append(schemas.get(reference.rpartition("/")[2]))
        for key in _COMBINING:
            waiting += one.get(key) or ()
        waiting += (one[key] for key in _CONDITIONAL if key in one)
        waiting += (one.get("dependentSchemas") or {}).values()


def _properties_at(described: list[JsonObject], name: str) -> Iterator[Json]:
    for one in described:
        if name in (one.get("properties") or {}):
            yield one["properties"][name]
        for pattern, inner in (one.get("patternProperties") or {}).items():
            if _matches(pattern, name):
                yield inner
        for key in ("additionalProperties", "unevaluatedProperties"):
            if isinstance(one.get(key), dict) and name not in (one.get("properties") or {}):
                yield one[key]


def _items_at(described: list[JsonObject], index: int) -> Iterator[Json]:
    for one in described:
        prefix = one.get("prefixItems") or []
        if index < len(prefix):
            yield prefix[index]
        else:
            yield one.get("items")
        yield from (one.get("contains"), one.get("unevaluatedItems"))


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # a pattern of ECMAScript: what it is about may be a secret
        return True


def _find_properties(schema: Json) -> Iterator[tuple[str, Json]]:
    """Yield every property that is described within *schema*, at any depth, without following references."""
    waiting = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            properties = one.get("properties")
            if isinstance(properties, dict):
                yield from properties.items()
            waiting += one.values()


def _texts_of(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_of(inner)
    elif isinstance(value, str) or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        yield str(value)


ANYTHING = SecretShape((), {})
"""What nothing is said of."""
