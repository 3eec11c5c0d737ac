"""`Persistent`: objects that load and save themselves."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self, TypeVar, cast

from pydantic import BaseModel

from pymacaron.exceptions import Finding
from pymacaron.persistence.errors import ConflictError, NotFoundError, PersistenceError
from pymacaron.persistence.layout import Layout, build_layout
from pymacaron.persistence.query import Order, Page, build_query, write_cursor
from pymacaron.persistence.rows import Row, from_row, is_expired, key_of, read_key, show_key, to_row
from pymacaron.persistence.store import Store, Write, current_store, timed_call

_STATE = "_pymacaron_version"
_NO_VERSION = 0
_REMOVED = -1
_FIRST_PAUSE_S = 0.002
_LONGEST_PAUSE_S = 0.1
T = TypeVar("T")

_models: dict[str, type[Persistent]] = {}


class Persistent:
    """Parent of models whose objects are stored; ``x-persist: svc.db.PersistentPet`` in the document names yours.

    table_name: where the objects are kept. primary_key: one property, or two: objects with the same first one are kept
    together, ordered by the second. indexes: name -> (partition, sort): what `query` may go along; (None, sort) is an
    order of all objects. ttl_field: property, a date-time or seconds since 1970, from when on an object counts as
    absent. version_field: integer property that counts the changes; without one the count is hidden.
    """

    table_name: ClassVar[str] = ""
    primary_key: ClassVar[str | tuple[str, ...]] = ""
    indexes: ClassVar[Mapping[str, str | tuple[str | None, ...]]] = {}
    ttl_field: ClassVar[str | None] = None
    version_field: ClassVar[str | None] = None
    __pymacaron_layout__: ClassVar[Layout | None] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Check what the class says about its storage. Raises PersistenceError."""
        super().__pydantic_init_subclass__(**kwargs)  # type: ignore[misc]  # a model is the next parent
        cls.__pymacaron_layout__ = None
        if cls.table_name and not _has_foreign_table(cls):
            _models[f"{cls.__module__}.{cls.__qualname__}"] = cls
            if cast("type[BaseModel]", cls).__pydantic_complete__:  # else a property's class is still to come
                layout_of(cls)

    @classmethod
    def load_from_db(cls, key: object) -> Self:
        """Return the object under *key*, a tuple where the primary key has two parts. Raises NotFoundError (404)."""
        layout, store = layout_of(cls), current_store()
        with timed_call(store, layout.table, "load"):
            row = _find_row(layout, store, key)
            if row is None:
                shown = show_key(layout, key if isinstance(key, tuple) else (key,))
                raise NotFoundError(f"There is no {shown}")
            return cast("Self", _to_object(layout, row))

    @classmethod
    def exists(cls, key: object) -> bool:
        """Tell whether there is an object under *key*."""
        layout, store = layout_of(cls), current_store()
        with timed_call(store, layout.table, "exists"):
            return _find_row(layout, store, key) is not None

    @classmethod
    def get_many(cls, keys: Iterable[object]) -> list[Self]:
        """Return the objects under *keys* that there are, in the order of *keys*."""
        layout, store = layout_of(cls), current_store()
        with timed_call(store, layout.table, "get_many"):
            read = dict.fromkeys(read_key(layout, key) for key in keys)
            wanted = [key for key in read if key is not None]
            rows = store.read(layout, wanted)
            found = [rows[key] for key in wanted if key in rows and not is_expired(layout, rows[key])]
            return [cast("Self", _to_object(layout, row)) for row in found]

    @classmethod
    def query(
        cls,
        *,
        index: str | None = None,
        where: Mapping[str, Any] | None = None,
        order: Order | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Self]:
        """Return the objects that fulfil *where*, up to *limit*, a list whose ``cursor`` continues behind them.

        index: what to go along; its first property must be in *where*, and only objects that have its properties are
        found. where: property -> value, or (operator, value) with ``<``, ``<=``, ``>``, ``>=``, ``between`` (a pair),
        ``in`` (a list) or ``starts_with``; None finds absent and null. order: along the second property of the index,
        or of the primary key where the first is given; else none is promised.
        Raises: ValueError, TypeError: not every store could answer it. InvalidCursorError: 400.
        """
        layout, store = layout_of(cls), current_store()
        with timed_call(store, layout.table, "query"):
            wanted = build_query(layout, index=index, where=where or {}, order=order, limit=limit, cursor=cursor)
            rows = store.find(wanted)
            page: Page[Self] = Page(cast("Self", _to_object(layout, row)) for row in rows[:limit])
            if len(rows) > limit:
                page.cursor = write_cursor(wanted, rows[limit - 1])
            return page

    @classmethod
    def update_in_db(cls, key: object, change: Callable[[Any], object], *, timeout_s: float = 10) -> Self:
        """Load the object, let *change* change it, save it; again while others are faster. Returns the object.

        Raises: NotFoundError. ConflictError: others were faster for *timeout_s*.
        """

        def attempt() -> Any:
            instance = cls.load_from_db(key)
            change(instance)
            instance.save_to_db()
            return instance

        return cast("Self", retry_conflicts(attempt, timeout_s=timeout_s))

    def save_to_db(self) -> None:
        """Store the object: what was loaded only if nobody changed it meanwhile, what is new whatever is there.

        With a version_field, an object that carries a version counts as loaded. Raises ConflictError (409).
        """
        expected = _expected_version(self)
        _write(self, "save", "upsert" if expected is None else "update", expected)

    def create_in_db(self) -> None:
        """Store the object as a new one. Raises AlreadyExistsError (409): there is one under its key."""
        _write(self, "create", "insert", None)

    def delete_from_db(self) -> None:
        """Remove the object: what was loaded only if nobody changed it meanwhile.

        Raises: NotFoundError (404): it is not there. ConflictError (409): somebody changed it.
        """
        _write(self, "delete", "delete", _expected_version(self))

    @classmethod
    def remove_expired(cls) -> int:
        """Remove the objects whose ttl_field has passed, and return how many. DynamoDB does it by itself: 0."""
        return current_store().remove_expired(layout_of(cls))

    def __pymacaron_version__(self) -> int | None:
        """Return what the object knows of its storage, for who copies it to another process; None: nothing."""
        return (cast("BaseModel", self).__pydantic_private__ or {}).get(_STATE)

    def __pymacaron_restore__(self, version: int | None) -> None:
        """Let this copy of an object know what `__pymacaron_version__` returned for the original."""
        private = {**(cast("BaseModel", self).__pydantic_private__ or {}), _STATE: version}
        object.__setattr__(self, "__pydantic_private__", private)

    def __eq__(self, other: object) -> bool:
        """Compare as models do: versions that no property shows make no difference."""
        if type(self) is not type(other):
            return NotImplemented
        mine, others = cast("BaseModel", self), cast("BaseModel", other)
        return mine.__dict__ == others.__dict__ and mine.__pydantic_extra__ == others.__pydantic_extra__

    __hash__ = None  # type: ignore[assignment]  # as models


def layout_of(cls: type[Persistent]) -> Layout:
    """Return how the objects of *cls* are stored. Raises PersistenceError: it cannot store any."""
    layout = cls.__dict__.get("__pymacaron_layout__")
    if layout is None:
        _refuse_foreign_table(cls)
        layout = cls.__pymacaron_layout__ = build_layout(cast("type[BaseModel]", cls), cls)
    return cast("Layout", layout)


def find_layouts() -> list[Layout]:
    """Return the layouts of all persistent models of this process, one for each table.

    Raises: PersistenceError: with all findings, two models that want a table to be different among them.
    """
    findings: list[Finding] = []
    layouts: dict[str, Layout] = {}
    for name, model in _models.items():
        try:
            layout = layout_of(model)
        except PersistenceError as error:
            findings += error.findings
            continue
        other = layouts.setdefault(layout.table, layout)
        if not other.has_same_table(layout):
            found = f"its table {layout.table} is that of {other.model.__module__}.{other.model.__qualname__} too"
            findings.append(Finding(name, found, "Give one of them another table_name, or both the same properties"))
    if findings:
        raise PersistenceError(findings)
    return list(layouts.values())


def retry_conflicts(function: Callable[[], T], *, timeout_s: float = 10) -> T:
    """Call *function*, again while it raises ConflictError, with random pauses, up to *timeout_s*; return its answer.

    For functions that load, change and save, or that hold a whole ``with transaction():``. Raises ConflictError.
    """
    end_s = time.monotonic() + timeout_s
    longest_s = _FIRST_PAUSE_S
    last: ConflictError | None = None
    while True:
        try:
            return function()
        except ConflictError as error:
            if error is last:  # it ended the transaction that all of this is in
                raise
            last = error
            pause_s = random.uniform(0, longest_s)  # noqa: S311 - only spreads the attempts
            if time.monotonic() + pause_s > end_s:
                raise
        time.sleep(pause_s)
        longest_s = min(longest_s * 2, _LONGEST_PAUSE_S)


def _has_foreign_table(cls: type[Persistent]) -> bool:
    """Tell whether *cls* has its table from a model that it extends: objects of two models do not fit in one."""
    parents = (parent for parent in cls.__mro__[1:] if issubclass(parent, BaseModel))
    return any(getattr(parent, "table_name", "") == cls.table_name for parent in parents)


def _refuse_foreign_table(cls: type[Persistent]) -> None:
    where = f"{cls.__module__}.{cls.__qualname__}"
    if not issubclass(cls, BaseModel):
        fix = f"Name it in the document, x-persist: {where}, and load objects by the model's class"
        raise PersistenceError(Finding(where, "it is no model, only the parent of one", fix))
    if not cls.table_name:
        raise PersistenceError(Finding(where, "it has no table_name", "Set table_name and primary_key"))
    if _has_foreign_table(cls):
        found = f"it would be stored in the table {cls.table_name} of the model that it extends"
        raise PersistenceError(Finding(where, found, "Give it an x-persist with a table_name of its own"))


def _find_row(layout: Layout, store: Store, key: object) -> Row | None:
    wanted = read_key(layout, key)
    row = None if wanted is None else store.read(layout, [wanted]).get(wanted)
    return None if row is None or is_expired(layout, row) else row


def _write(instance: Persistent, call: str, kind: Any, expected: int | None) -> None:
    layout, store = layout_of(type(instance)), current_store()
    model = cast("BaseModel", instance)
    with timed_call(store, layout.table, call):
        row = to_row(layout, model)
        first = 1 if layout.version else time.time_ns() // 1000  # unlike any that an object before it had
        change = Write(kind, key_of(layout, row), None if kind == "delete" else row, expected, first)
        version = store.write(layout, change)
    _remember(layout, model, _REMOVED if kind == "delete" else version)


def _to_object(layout: Layout, row: Row) -> BaseModel:
    instance: BaseModel = from_row(layout, row)
    _remember(layout, instance, row[layout.version_column] or _NO_VERSION)
    return instance


def _remember(layout: Layout, instance: BaseModel, version: int) -> None:
    """Keep the version in the object, where nothing but these functions sees it, and in its property."""
    if layout.version and version > 0:
        instance.__dict__[layout.version.name] = version
        instance.__pydantic_fields_set__.add(layout.version.name)
    cast("Persistent", instance).__pymacaron_restore__(version)


def _expected_version(instance: Persistent) -> int | None:
    """Return the version that must be there, None where any may: for what is new, and what was removed."""
    layout = layout_of(type(instance))
    state = instance.__pymacaron_version__()
    if state == _REMOVED:
        return None
    if layout.version and state != _NO_VERSION:
        return cast("int | None", instance.__dict__.get(layout.version.name))
    return state
