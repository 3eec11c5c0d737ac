"""The names of pymacaron 2's add-on pymacaron_dynamodb, on any store."""

from __future__ import annotations

from typing import Any, ClassVar, Self, cast

from pymacaron.exceptions import Finding
from pymacaron.persistence.errors import NotFoundError, PersistenceError
from pymacaron.persistence.model import Persistent, layout_of
from pymacaron.pool import apipool

DynamoDBItemNotFound = NotFoundError
"""What `load_from_db` raises if there is nothing under the key: it is answered with 404."""


class ClassicTable:
    """What `PersistentSwaggerObject.get_table` returns."""

    def __init__(self, model: type[Persistent]) -> None:
        """Take the model whose objects the table holds."""
        self._model = model

    def has_item(self, *key: object, **parts: object) -> bool:
        """Tell whether there is an object: ``has_item("a1")`` or ``has_item(id="a1")``. Raises TypeError."""
        values = key or tuple(parts.pop(field.column, None) for field in layout_of(self._model).key)
        if parts:
            raise TypeError(f"{', '.join(parts)} is no part of the primary key of {self._model.table_name}")
        return self._model.exists(values[0] if len(values) == 1 else values)


class PersistentSwaggerObject(Persistent):
    """Parent of the classes that ``x-persist`` names, as in pymacaron 2.

    api_name, model_name: the document and the schema whose objects it loads; table_name, primary_key: where they are.
    Objects may be loaded by this class or by the model's own. Saving what others have changed since raises a
    ConflictError (409), where pymacaron 2 overwrote it.
    """

    api_name: ClassVar[str] = ""
    model_name: ClassVar[str] = ""

    @classmethod
    def load_from_db(cls, key: object) -> Self:
        """Return the model's object under *key*. Raises DynamoDBItemNotFound."""
        if hasattr(cls, "model_fields"):
            return super().load_from_db(key)
        return cast("Self", _model_of(cls).load_from_db(key))

    @classmethod
    def get_table(cls) -> ClassicTable:
        """Return the table, which can be asked `ClassicTable.has_item`."""
        return ClassicTable(_model_of(cls))

    @classmethod
    def to_model(cls, item: dict[str, Any]) -> Any:
        """Return the model's object that the dict *item* describes. Raises: pydantic.ValidationError."""
        return cast("Any", _model_of(cls)).from_json(item)


def _model_of(cls: type[PersistentSwaggerObject]) -> type[PersistentSwaggerObject]:
    """Return the model that inherits from *cls*, which may be the model itself."""
    if hasattr(cls, "model_fields"):
        return cls
    where = f"{cls.__module__}.{cls.__qualname__}"
    model = getattr(apipool.get_model(cls.api_name), cls.model_name)
    if not issubclass(model, cls):
        fix = f"Write x-persist: {where} into the schema {cls.model_name} of {cls.api_name}"
        raise PersistenceError(Finding(where, f"the model {cls.model_name} does not inherit from it", fix))
    return cast("type[PersistentSwaggerObject]", model)
