"""What a persistent class says about its storage, checked once: table, fields, key, indexes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, FutureDate, FutureDatetime, PastDate, PastDatetime, RootModel

from pymacaron.exceptions import Finding
from pymacaron.model_dicts import is_nullable, property_name_of
from pymacaron.persistence.errors import PersistenceError

VERSION = "pym_version"
"""Column of the version, for classes that name no property for it."""
MORE = "pym_more"
"""Column of what has no column of its own: ``{"null": [property, …], "extra": {property: value}}``; None if nothing."""

Kind = Literal["text", "integer", "number", "boolean", "decimal", "date-time", "date", "uuid", "bytes", "json"]
_SCALARS: Mapping[Any, Kind] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "boolean",
    Decimal: "decimal",
    datetime: "date-time",
    date: "date",
    UUID: "uuid",
    bytes: "bytes",
    **dict.fromkeys((AwareDatetime, FutureDatetime, PastDatetime), "date-time"),
    **dict.fromkeys((FutureDate, PastDate), "date"),
}
_KEY_KINDS = frozenset({"text", "integer", "decimal", "date-time", "date", "uuid"})
_SORTED_KINDS = _KEY_KINDS | {"number", "boolean"}
_TTL_KINDS = frozenset({"date-time", "integer"})
_MOST_KEY_FIELDS = 2
_OWN = "pym_"


@dataclass(frozen=True, slots=True)
class StoredField:
    """One property. name: in Python; column: in the document and the table.

    tells_null: the property is optional and nullable, so that null differs from absent. is_required: never absent.
    is_set: a value is a set, as JSON a list.
    """

    name: str
    column: str
    kind: Kind
    tells_null: bool = False
    is_required: bool = False
    is_set: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """What a query may go along: objects of one value of *partition* (None: all objects), ordered by *sort*."""

    name: str
    partition: StoredField | None
    sort: StoredField | None

    @property
    def fields(self) -> tuple[StoredField, ...]:
        """The fields that an object must have to be found by the index."""
        return tuple(each for each in (self.partition, self.sort) if each)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the objects of one model are stored.

    version: the property that holds the version, None where it has a column of its own (`VERSION`). ttl: the moment,
    or second since 1970, from which on an object counts as absent. has_more: objects may hold what has no column.
    """

    model: type[BaseModel]
    table: str
    fields: tuple[StoredField, ...]
    key: tuple[StoredField, ...]
    indexes: Mapping[str, Index] = field(default_factory=dict)
    version: StoredField | None = None
    ttl: StoredField | None = None
    has_more: bool = False

    @property
    def version_column(self) -> str:
        """The column of the version."""
        return self.version.column if self.version else VERSION

    def has_same_table(self, other: Layout) -> bool:
        """Tell whether the table of *other* can be this one."""
        return self._shape() == other._shape()

    def _shape(self) -> tuple[object, ...]:
        return (
            {(each.column, each.kind, each.is_set) for each in self.fields},
            [each.column for each in self.key],
            {
                index.name: [each and each.column for each in (index.partition, index.sort)]
                for index in self.indexes.values()
            },
            self.version_column,
            self.ttl and self.ttl.column,
            self.has_more,
        )

    def find_field(self, name: str) -> StoredField | None:
        """Return the field called *name* in Python or in the document, None if there is none."""
        return next((each for each in self.fields if name in (each.name, each.column)), None)


def build_layout(model: type[BaseModel], declaration: Any) -> Layout:
    """Return the layout of *model* as the class attributes of *declaration* want it: see `Persistent`.

    Raises: PersistenceError: with everything that is wrong.
    """
    fields = tuple(
        StoredField(
            name,
            property_name_of(name, info),
            find_kind(info.annotation),
            tells_null=is_nullable(info),
            is_required=info.is_required(),
            is_set=_is_set(info.annotation),
        )
        for name, info in model.model_fields.items()
    )
    reader = _Reader(model, fields)
    for each in fields:
        if each.column.startswith(_OWN):
            reader.complain(each.column, f"names that begin with {_OWN} are the store's", "Give it another one")
    key = _as_names(declaration.primary_key)
    layout = Layout(
        model=model,
        table=declaration.table_name,
        fields=fields,
        key=reader.read_all("primary_key", key, _KEY_KINDS),
        indexes={name: reader.read_index(name, names) for name, names in declaration.indexes.items()},
        version=reader.read("version_field", declaration.version_field, {"integer"}),
        ttl=reader.read("ttl_field", declaration.ttl_field, _TTL_KINDS),
        has_more=model.model_config.get("extra") == "allow" or any(each.tells_null for each in fields),
    )
    if not 1 <= len(key) <= _MOST_KEY_FIELDS:
        reader.complain("primary_key", f"it names {len(key)} properties", "Name one or two")
    if reader.findings:
        raise PersistenceError(reader.findings)
    return layout


def find_kind(annotation: Any) -> Kind:
    """Return how values of a type are stored; what is no single value, or of several kinds, is stored as JSON."""
    kinds = set(_find_kinds(annotation))
    return kinds.pop() if len(kinds) == 1 else "json"


def _find_kinds(annotation: Any) -> Iterable[Kind]:
    origin = get_origin(annotation)
    if annotation is NoneType:
        return
    if hasattr(annotation, "__value__"):  # a type alias
        yield from _find_kinds(annotation.__value__)
    elif origin is Annotated:
        yield from _find_kinds(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _find_kinds(part)
    elif origin is Literal:
        yield from (_SCALARS.get(type(value), "json") for value in get_args(annotation) if value is not None)
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        yield from (_SCALARS.get(type(member.value), "json") for member in annotation)
    elif isinstance(annotation, type) and issubclass(annotation, RootModel):
        yield "json"
    else:
        yield _SCALARS.get(annotation, "json")


def _is_set(annotation: Any) -> bool:
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return any((get_origin(part) or part) in (set, frozenset) for part in parts)


def _as_names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(value) if isinstance(value, (tuple, list)) else ()


class _Reader:
    """Finds the fields that class attributes name, and collects what is wrong with them."""

    def __init__(self, model: type[BaseModel], fields: tuple[StoredField, ...]) -> None:
        self._model = model
        self._fields = {each.column: each for each in fields} | {each.name: each for each in fields}
        self.findings: list[Finding] = []

    def complain(self, attribute: str, found: str, fix: str) -> None:
        where = f"{self._model.__module__}.{self._model.__qualname__}: {attribute}"
        self.findings.append(Finding(where, found, fix))

    def read(self, attribute: str, name: str | None, kinds: Iterable[str]) -> StoredField | None:
        if name is None:
            return None
        found = self._fields.get(name)
        if found is None:
            self.complain(attribute, f"{name!r} is no property", f"Use one of {', '.join(self._fields) or 'none'}")
        elif found.kind not in kinds:
            self.complain(attribute, f"{name!r} is of kind {found.kind}", f"Use one of kind {', '.join(sorted(kinds))}")
            found = None
        return found

    def read_all(self, attribute: str, names: Iterable[str], kinds: Iterable[str]) -> tuple[StoredField, ...]:
        found = [self.read(attribute, name, kinds) for name in names]
        return tuple(each for each in found if each)

    def read_index(self, name: str, names: object) -> Index:
        attribute = f"indexes[{name!r}]"
        parts: tuple[str | None, ...] = (names,) if isinstance(names, str) else tuple(names or ())  # type: ignore[arg-type]  # what else is told below
        if not 1 <= len(parts) <= _MOST_KEY_FIELDS or parts == (None,):
            self.complain(attribute, f"it is {names!r}", "Write (partition, sort), (partition,) or (None, sort)")
            parts = ()
        if not name.isidentifier():
            self.complain(attribute, "its name is no identifier", "Use letters, digits and underscores")
        partition, sort, *_ = (*parts, None, None)
        return Index(name, self.read(attribute, partition, _SORTED_KINDS), self.read(attribute, sort, _SORTED_KINDS))
