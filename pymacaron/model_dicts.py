"""Models become dicts of JSON values, by what is found out once about each class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, RootModel
from pydantic_core import to_jsonable_python

from pymacaron.json_types import Json, JsonObject

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

NULLABLE = "x-nullable"
DatetimeEncoder = Callable[[datetime], Json]
Kind = Literal["root", "model", "list", "dict", "datetime", "date", "other"]
_MOST_CLASSES = 4096
_AS_THEY_ARE = frozenset({str, int, float, bool, type(None)})
_KINDS: dict[type, Kind] = {
    RootModel: "root",
    BaseModel: "model",
    list: "list",
    dict: "dict",
    datetime: "datetime",
    date: "date",
}


@dataclass(frozen=True, slots=True)
class DictOptions:
    """How models are written; see `PymacaronBaseModel.to_json`."""

    encode: DatetimeEncoder
    keep_datetime: bool
    keep_nullable: bool
    exclude_unset: bool
    exclude_none: bool

    def dump_model(self, model: BaseModel) -> JsonObject:
        """Return the properties of *model* that are to be written."""
        values: JsonObject = {}
        was_set, exclude_unset = model.__pydantic_fields_set__, self.exclude_unset
        for name, property_name, is_required, may_be_null in _fields_of(type(model)):
            value = getattr(model, name)
            is_set = not exclude_unset or name in was_set
            if value is None:
                is_written = is_set if is_required else may_be_null and (is_set or self.keep_nullable)
                if is_written and not self.exclude_none:
                    values[property_name] = None
            elif is_set:
                values[property_name] = value if type(value) in _AS_THEY_ARE else self._dump(value)
        extras = model.__pydantic_extra__
        if extras:
            for name, value in extras.items():
                values[name] = self._dump(value)
        return values

    def _dump(self, value: Any) -> Json:
        kind = _kind_of(value.__class__)
        if kind == "root":
            value = value.root
            kind = _kind_of(value.__class__)
        if kind in ("model", "root"):
            return self.dump_model(value)
        if kind == "list":
            return [item if type(item) in _AS_THEY_ARE else self._dump(item) for item in value]
        if kind == "dict":
            return {key: self._dump(item) for key, item in value.items()}
        if kind in ("date", "datetime") and self.keep_datetime:
            return value
        return self.encode(value) if kind == "datetime" else to_jsonable_python(value)


def property_name_of(name: str, field: FieldInfo) -> str:
    """Return what the document calls the field *name*."""
    return name if field.alias is None else field.alias


def is_nullable(field: FieldInfo) -> bool:
    """Tell whether an optional property may be null."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and extra.get(NULLABLE) is True


@lru_cache(maxsize=_MOST_CLASSES)
def _fields_of(model: type[BaseModel]) -> list[tuple[str, str, bool, bool]]:
    """Return name, name in the document, whether it is required, and whether it is nullable, of each field."""
    return [
        (name, property_name_of(name, field), field.is_required(), is_nullable(field))
        for name, field in model.model_fields.items()
    ]


@lru_cache(maxsize=_MOST_CLASSES)
def _kind_of(cls: Any) -> Kind:
    return next((kind for base, kind in _KINDS.items() if issubclass(cls, base)), "other")
