"""What all generated models inherit from, and how their values become plain Python and JSON."""

from __future__ import annotations

import difflib
import json
import sys
from contextlib import suppress
from datetime import datetime
from functools import partial
from operator import is_
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError
from pydantic_core import core_schema, to_json

from pymacaron.json_types import Json, JsonObject
from pymacaron.model_dicts import DatetimeEncoder, DictOptions, is_nullable, property_name_of

if TYPE_CHECKING:
    from pydantic import (
        GetCoreSchemaHandler,
        SerializationInfo,
        SerializerFunctionWrapHandler,
        ValidationInfo,
        ValidatorFunctionWrapHandler,
    )
    from pydantic.fields import FieldInfo
    from pydantic_core import CoreSchema

CHILDREN = "__pymacaron_children__"
RootT = TypeVar("RootT")

_is_none = partial(is_, None)
_CONFIG = ConfigDict(
    validate_assignment=True,
    validate_by_name=True,
    validate_by_alias=True,
    protected_namespaces=(),
    allow_inf_nan=False,
)


def _find_fields(schema: Any) -> dict[str, Any]:
    """Return the ``model-field`` schemas inside the core schema of a model, by name."""
    while schema.get("type") != "model-fields":
        schema = schema.get("schema")
        if schema is None:
            return {}
    fields: dict[str, Any] = schema["fields"]
    return fields


def _tell_absent_from_null(model_field: Any, field: FieldInfo) -> None:
    """Rewrite the core schema of one property in place."""
    schema = model_field["schema"]
    if schema["type"] != "default":
        return
    if schema.get("default") is not None:
        schema["validate_default"] = True
    elif not is_nullable(field):
        nullable = schema["schema"]
        if nullable["type"] == "nullable":
            schema["schema"] = {
                "type": "json-or-python",
                "json_schema": nullable["schema"],
                "python_schema": nullable,
            }
        model_field["serialization_exclude_if"] = _is_none


def make_whole(value: Json) -> Json:
    """Return *value* with 1 in place of each 1.0: to JSON Schema that is the same number, and an integer."""
    if isinstance(value, dict):
        return {key: make_whole(element) for key, element in value.items()}
    if isinstance(value, list):
        return [make_whole(element) for element in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _find_child(cls: type[BaseModel], value: Json) -> type[BaseModel] | None:
    """Return the class that the JSON object *value* names by the property of its discriminator."""
    name, classes = cls.__dict__[CHILDREN]
    tag = value.get(name) if isinstance(value, dict) else None
    child_name = classes.get(tag if isinstance(tag, str) else "", classes.get("", ""))
    child = getattr(sys.modules[cls.__module__], child_name, None)
    return child if isinstance(child, type) and issubclass(child, cls) else None


def _read_child(cls: type[BaseModel], value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """Return an instance of the class that *value* names; where that refuses it, of the parent, which decides."""
    child = _find_child(cls, value) if info.mode == "json" else None
    if child is not None:
        for content in (value, make_whole(value)):
            with suppress(ValidationError):
                return child.__pydantic_validator__.validate_json(
                    to_json(content), strict=True, by_alias=True, by_name=False
                )
    return handler(value)


def _write_child(
    cls: type[BaseModel], value: Any, handler: SerializerFunctionWrapHandler, info: SerializationInfo
) -> Any:
    """Return what an instance of a child is in JSON, all its properties included."""
    if type(value) is cls or not isinstance(value, cls):
        return handler(value)
    return type(value).__pydantic_serializer__.to_python(
        value,
        mode=info.mode,
        by_alias=info.by_alias,
        exclude_unset=info.exclude_unset,
        exclude_defaults=info.exclude_defaults,
        exclude_none=info.exclude_none,
    )


def _add_children(cls: type[BaseModel], schema: Any) -> None:
    """Rewrite the core schema of a parent in place, so that it reads and writes its children too."""
    inner = {key: value for key, value in schema.items() if key != "ref"}
    write = core_schema.wrap_serializer_function_ser_schema(partial(_write_child, cls), schema=inner, info_arg=True)
    outer = core_schema.with_info_wrap_validator_function(partial(_read_child, cls), inner, serialization=write)
    reference = schema.get("ref")
    schema.clear()
    schema.update(outer)
    if reference is not None:
        schema["ref"] = reference


class _Named:
    """What every generated class knows about where it comes from."""

    __pymacaron_api__: ClassVar[str] = ""

    @classmethod
    def get_model_name(cls) -> str:
        """Return the name of the class."""
        return cls.__name__

    @classmethod
    def get_model_api(cls) -> str:
        """Return the name of the api that the model belongs to, ``""`` for a class that was not generated."""
        return cls.__pymacaron_api__


class PymacaronBaseModel(_Named, BaseModel):
    """An object of a document.

    A property that is optional and not nullable: None in Python means that it is absent, it is never written, and
    JSON's null is refused. Every assignment is validated. The methods are those of pymacaron 2.
    """

    model_config = _CONFIG

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler, /) -> CoreSchema:
        """Tell absent from null in each optional property."""
        schema = handler(source)
        definition = handler.resolve_ref_schema(schema)
        fields = _find_fields(definition)
        for name, field in cls.model_fields.items():
            if name in fields:
                _tell_absent_from_null(fields[name], field)
        if CHILDREN in cls.__dict__:
            _add_children(cls, definition)
        return schema

    def to_json(
        self,
        *,
        keep_datetime: bool = False,
        keep_nullable: bool = False,
        datetime_encoder: DatetimeEncoder | None = None,
        exclude_unset: bool = True,
        exclude_none: bool = False,
    ) -> JsonObject:
        """Return the object as a dict keyed by the document's property names, with what was set.

        keep_datetime: leave dates and times as they are instead of their ISO text. keep_nullable: add null for each
        nullable property that was not set. datetime_encoder: makes the text of a time. exclude_unset: leave out
        defaults. exclude_none: leave out nulls.
        """
        encode = datetime_encoder or datetime.isoformat
        options = DictOptions(encode, keep_datetime, keep_nullable, exclude_unset, exclude_none)
        return options.dump_model(self)

    @classmethod
    def from_json(cls, j: JsonObject, prune_none: bool = True) -> Self:  # noqa: FBT001, FBT002 - as in pymacaron 2
        """Return the instance that the dict *j* describes; prune_none: take null for absent.

        Raises: pydantic.ValidationError: *j* breaks the document.
        """
        return cls.model_validate(_prune_none(j) if prune_none else j)

    def clone(self) -> Self:
        """Return a deep copy."""
        return self.model_copy(deep=True)

    @classmethod
    def get_property_names(cls) -> list[str]:
        """Return the names of all properties, as the document spells them."""
        return [property_name_of(name, field) for name, field in cls.model_fields.items()]

    @classmethod
    def get_nullable_properties(cls) -> list[str]:
        """Return the names of the optional properties that may be null, as the document spells them."""
        return [property_name_of(name, field) for name, field in cls.model_fields.items() if is_nullable(field)]

    @classmethod
    def diff_with(cls, other: type[BaseModel]) -> str:
        """Return how the schema of *other* differs, as a unified diff; ``""`` if only descriptions do."""
        return diff_models(cls, other)


class PymacaronRootModel(_Named, RootModel[RootT], Generic[RootT]):
    """A named schema that is no object: an array, an enum, a union, a map or a plain value, in ``root``."""

    model_config = ConfigDict(allow_inf_nan=False)

    @classmethod
    def from_json(cls, j: Json, prune_none: bool = True) -> Self:  # noqa: FBT001, FBT002 - as in PymacaronBaseModel
        """Return the instance that *j* describes; prune_none: take null inside of it for absent.

        Raises: pydantic.ValidationError: *j* breaks the document.
        """
        return cls.model_validate(_prune_none(j) if prune_none else j)


def unwrap(value: object) -> Any:
    """Return *value* with each root model in it, also inside lists, tuples and dicts, replaced by its content."""
    if isinstance(value, RootModel):
        return unwrap(value.root)
    if type(value) is list:
        return [unwrap(item) for item in value]
    if type(value) is tuple:
        return tuple(unwrap(item) for item in value)
    if type(value) is dict:
        return {key: unwrap(item) for key, item in value.items()}
    return value


def dump_json(model: type[BaseModel], value: object) -> bytes:
    """Return the JSON text of *value*, a valid value of *model*: an instance, or for root models plain Python.

    Nothing is validated.
    """
    if issubclass(model, RootModel) and not isinstance(value, model):
        value = model.model_construct(value)
    return model.__pydantic_serializer__.to_json(value, by_alias=True)


def diff_models(model: type[BaseModel], other: type[BaseModel]) -> str:
    """Return the unified diff of two models' JSON schemas without titles and descriptions; ``""`` if they agree."""
    names = [f"{getattr(cls, '__pymacaron_api__', '')}.{cls.__name__}" for cls in (model, other)]
    texts = [json.dumps(_bare_schema(cls.model_json_schema()), indent=4, sort_keys=True) for cls in (model, other)]
    lines = difflib.unified_diff(
        texts[0].splitlines(), texts[1].splitlines(), fromfile=names[0], tofile=names[1], lineterm=""
    )
    return "\n".join(lines)


def _prune_none(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _prune_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_prune_none(item) for item in value]
    return value


def _bare_schema(schema: Json) -> Json:
    """Return a JSON schema without titles and descriptions; properties of these names stay."""
    if isinstance(schema, list):
        return [_bare_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    bare = {}
    for key, value in schema.items():
        if key in {"properties", "$defs"}:
            bare[key] = {name: _bare_schema(item) for name, item in value.items()}
        elif key not in {"title", "description"}:
            bare[key] = _bare_schema(value)
    return bare
