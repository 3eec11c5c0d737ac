"""Arguments and results of tasks become JSON that keeps their types, and come back as they were."""

from __future__ import annotations

import base64
import importlib
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from pymacaron.exceptions import TaskArgumentError
from pymacaron.json_types import Json
from pymacaron.pool import apipool

_TAG = "$type"
_VALUE = "value"
_PLAIN = frozenset({str, int, bool, type(None)})
_WRITERS: dict[type, tuple[str, Callable[[Any], Json]]] = {
    datetime: ("datetime", datetime.isoformat),
    date: ("date", date.isoformat),
    time: ("time", time.isoformat),
    timedelta: ("timedelta", lambda span: [span.days, span.seconds, span.microseconds]),
    Decimal: ("decimal", str),
    UUID: ("uuid", str),
    bytes: ("bytes", lambda content: base64.b64encode(content).decode()),
}
_READERS: dict[str, Callable[[Any], object]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda parts: timedelta(*parts),
    "decimal": Decimal,
    "uuid": UUID,
    "bytes": base64.b64decode,
    "float": float,
    "tuple": lambda items: tuple(map(decode, items)),
    "set": lambda items: set(map(decode, items)),
    "frozenset": lambda items: frozenset(map(decode, items)),
    "dict": lambda pairs: {decode(key): decode(value) for key, value in pairs},
    "enum": lambda parts: _find_class(parts[0], Enum)[parts[1]],
    "model": lambda parts: _decode_model(*parts),
}
_FIX = "Pass models, lists, dicts, dates, decimals, UUIDs, bytes, enums or plain values, or an id to load it by"


def encode(value: Any, where: str) -> Json:  # noqa: PLR0911 - one for each kind of value
    """Return *value* as JSON that `decode` reads; *where* names it in errors.

    Lists, tuples, sets and dicts of what can be encoded can be encoded. A model is validated, so that it cannot fail in
    the worker. Raises: TaskArgumentError: a value has a type that does not survive the way.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if math.isfinite(value) else _tag("float", repr(value))
    if kind is list:
        return [encode(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if kind is dict:
        return _encode_dict(value, where)
    if kind in _WRITERS:
        name, write = _WRITERS[kind]
        return _tag(name, write(value))
    if kind in (tuple, set, frozenset):
        return _tag(kind.__name__, [encode(item, f"{where}[…]") for item in value])
    if isinstance(value, Enum):
        return _tag("enum", _encode_enum(value, where))
    if isinstance(value, BaseModel):
        return _tag("model", _encode_model(value, where))
    raise TaskArgumentError(where, f"is a {kind.__qualname__}, which a task cannot be given", _FIX)


def decode(value: Json) -> Any:
    """Return what `encode` made *value* of.

    Raises: LookupError, ValueError: a class has changed since, or is not there any more.
    """
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if _TAG in value:
            return _READERS[value[_TAG]](value[_VALUE])
        return {key: decode(item) for key, item in value.items()}
    return value


def describe_shape(value: object) -> str:
    """Return the type of *value* and the number of its items, nothing of what is in it: ``list[3]``, ``Pet``."""
    name = type(value).__name__
    return f"{name}[{len(value)}]" if isinstance(value, (list, tuple, set, frozenset, dict, str, bytes)) else name


def describe_packed(value: Any) -> str:
    """Return the type of a packed argument: ``Pet``, ``list[3]``, ``decimal``."""
    if isinstance(value, dict) and _TAG in value:
        kind = value[_TAG]
        if kind in {"model", "enum"}:
            return str(value[_VALUE][0].rpartition(":")[2])
        return f"{kind}[{len(value[_VALUE])}]" if kind in {"tuple", "set", "frozenset", "dict"} else str(kind)
    return describe_shape(value)


def _tag(name: str, value: Json) -> Json:
    return {_TAG: name, _VALUE: value}


def _encode_dict(value: dict[Any, object], where: str) -> Json:
    if all(type(key) is str for key in value) and _TAG not in value:
        return {key: encode(item, f"{where}[{key!r}]") for key, item in value.items()}
    pairs: Json = [[encode(key, f"a key of {where}"), encode(item, f"{where}[…]")] for key, item in value.items()]
    return _tag("dict", pairs)


def _encode_enum(value: Enum, where: str) -> Json:
    kind = type(value)
    if kind.__members__.get(str(value.name)) is not value:  # flags that were put together
        raise TaskArgumentError(where, f"is no member of {kind.__name__} that has a name", "Pass its value")
    return [_name_class(kind, where), value.name]


def _encode_model(value: BaseModel, where: str) -> Json:
    """Return class and content of a model, and what stored objects in it know of their storage.

    What is not set stays unset.
    """
    kind = type(value)
    name = _name_class(kind, where)
    try:
        content = kind.__pydantic_serializer__.to_python(
            value, mode="json", by_alias=True, exclude_unset=not isinstance(value, RootModel), warnings="none"
        )
        is_same = _build_model(kind, content) == value
    except (ValidationError, PydanticSerializationError) as error:
        fix = "Build it by its constructor, which validates"
        raise TaskArgumentError(where, f"is a {kind.__name__} that is not valid", fix) from error
    if not is_same:
        found = f"is a {kind.__name__} of which JSON does not keep everything"
        raise TaskArgumentError(where, found, "Pass the parts that the task needs")
    versions: list[Json] = [stored.__pymacaron_version__() for stored in _find_stored(value)]
    return [name, content, versions] if any(version is not None for version in versions) else [name, content]


def _decode_model(name: str, content: Json, versions: Sequence[int | None] = ()) -> BaseModel:
    model = _build_model(_find_class(name, BaseModel), content)
    if versions:
        for stored, version in zip(_find_stored(model), versions, strict=True):
            stored.__pymacaron_restore__(version)
    return model


def _find_stored(value: object) -> Iterator[Any]:
    """Yield the objects in *value* that a database stores, itself included, in an order that equal values share.

    They say so by the methods of `pymacaron.persistence.Persistent` that copy what they know of their storage.
    """
    if isinstance(value, BaseModel):
        if hasattr(value, "__pymacaron_version__"):
            yield value
        properties = {**value.__dict__, **(value.__pydantic_extra__ or {})}
        for name in sorted(properties):
            yield from _find_stored(properties[name])
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _find_stored(item)


def _build_model(kind: type[BaseModel], content: Json) -> BaseModel:
    return kind.__pydantic_validator__.validate_json(to_json(content), by_alias=True)  # type: ignore[no-any-return]


def _name_class(kind: type, where: str) -> str:
    """Return a name that `_find_class` finds *kind* by, in another process too."""
    api = getattr(kind, "__pymacaron_api__", "")
    if api in apipool.get_api_names() and getattr(apipool.get_model(api), kind.__name__, None) is kind:
        return f"api:{api}:{kind.__name__}"
    if not _is_importable(kind):
        found = f"is a {kind.__qualname__}, a class that other processes cannot import"
        raise TaskArgumentError(where, found, "Define the class at the top of a module")
    return f"py:{kind.__module__}:{kind.__qualname__}"


@lru_cache(maxsize=4096)
def _is_importable(kind: type) -> bool:
    module = sys.modules.get(kind.__module__)
    try:
        return kind.__module__ != "__main__" and attrgetter(kind.__qualname__)(module) is kind
    except AttributeError:
        return False


def _find_class(name: str, parent: type) -> Any:
    origin, module_name, class_name = name.split(":")
    if origin == "api":
        found = getattr(apipool.get_model(module_name), class_name)
    else:
        found = attrgetter(class_name)(sys.modules.get(module_name) or importlib.import_module(module_name))
    if not (isinstance(found, type) and issubclass(found, parent)):
        raise LookupError(f"{name} is no {parent.__name__}")  # noqa: TRY004 - what the name leads to has changed
    return found


def to_plain_json(value: Json) -> Json:  # noqa: PLR0911 - one for each kind of value
    """Return what `encode` made of a value without the names of types: models and dicts as objects, dates as texts."""
    if isinstance(value, list):
        return [to_plain_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: to_plain_json(item) for key, item in value.items()}
    kind, content = value[_TAG], value[_VALUE]
    if kind == "model":
        return content[1]
    if kind == "enum":
        return _show_enum(value)
    if kind == "dict":
        return {str(to_plain_json(key)): to_plain_json(item) for key, item in content}
    return to_plain_json(content)


def _show_enum(packed: Json) -> Json:
    """Return the value of a member, as models show it; its name where that is no JSON, or the class has changed."""
    try:
        return to_jsonable_python(decode(packed).value)
    except (LookupError, ImportError, PydanticSerializationError):
        return packed[_VALUE][1]
