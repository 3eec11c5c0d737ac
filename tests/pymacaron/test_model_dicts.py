"""Models as dicts: what was found out before about their classes changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model
from pydantic_core import to_jsonable_python

from pymacaron.json_types import Json, JsonObject
from pymacaron.model import PymacaronBaseModel, PymacaronRootModel


class Plainly:
    """Says the same step by step, asking the class of each object at each of its fields."""

    def __init__(
        self,
        *,
        keep_datetime: bool,
        keep_nullable: bool,
        datetime_encoder: Callable[[datetime], Json] | None,
        exclude_unset: bool,
        exclude_none: bool,
    ) -> None:
        """Take the options of `PymacaronBaseModel.to_json`."""
        self.encode = datetime_encoder or datetime.isoformat
        self.keep_datetime = keep_datetime
        self.keep_nullable = keep_nullable
        self.exclude_unset = exclude_unset
        self.exclude_none = exclude_none

    def dump_model(self, model: BaseModel) -> JsonObject:
        """Return the dict of an object."""
        values: JsonObject = {}
        for name, field in type(model).model_fields.items():
            value = getattr(model, name)
            if self.is_written(model, name, value):
                values[name if field.alias is None else field.alias] = self.dump(value)
        for name, value in (model.model_extra or {}).items():
            values[name] = self.dump(value)
        return values

    def is_written(self, model: BaseModel, name: str, value: object) -> bool:
        """Tell whether a property is part of the dict."""
        field = type(model).model_fields[name]
        is_set = name in model.model_fields_set or not self.exclude_unset
        if value is not None:
            return is_set
        if self.exclude_none:
            return False
        if field.is_required():
            return is_set
        extra = field.json_schema_extra
        return isinstance(extra, dict) and extra.get("x-nullable") is True and (is_set or self.keep_nullable)

    def dump(self, value: object) -> Json:
        """Return the JSON value of anything."""
        if isinstance(value, RootModel):
            value = value.root
        if isinstance(value, BaseModel):
            return self.dump_model(value)
        if isinstance(value, list):
            return [self.dump(item) for item in value]
        if isinstance(value, dict):
            return {key: self.dump(item) for key, item in value.items()}
        if isinstance(value, date) and self.keep_datetime:
            return value
        return self.encode(value) if isinstance(value, datetime) else to_jsonable_python(value)


class Color(Enum):
    """A value with a name."""

    RED = "red"


class Size(int, Enum):
    """A number with a name."""

    LARGE = 3


class Inner(PymacaronBaseModel):
    """An object inside others."""

    at: datetime | None = None
    day: date | None = None


class Wider(Inner):
    """An object with more than its parent."""

    more: Any | None = None


class Foreign(BaseModel):
    """A class of the service's own."""

    x: int = 1


class Root(PymacaronRootModel[Any]):
    """A schema that is no object."""


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from([Color.RED, Size.LARGE, UUID(int=1), Decimal("1.50"), b"ab", (1, Inner(day=date(2026, 1, 1)))]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
        st.builds(Root, inner),
        st.builds(Root, st.builds(Root, inner)),
        st.builds(Wider, at=st.datetimes() | st.none(), more=inner),
        st.builds(Inner, day=st.dates()),
        st.builds(Foreign),
    ),
    max_leaves=6,
)
options = st.fixed_dictionaries(
    {
        "keep_datetime": st.booleans(),
        "keep_nullable": st.booleans(),
        "datetime_encoder": st.sampled_from([None, lambda time: time.year]),
        "exclude_unset": st.booleans(),
        "exclude_none": st.booleans(),
    }
)


@st.composite
def fields(draw: st.DrawFn) -> tuple[Any, Any]:
    """Draw what pydantic's `create_model` takes for a field."""
    extra: Any = draw(st.sampled_from([None, {"x-nullable": True}, {"x-nullable": False}, {"x-other": 1}]))
    alias = draw(st.sampled_from([None, "own name"]))
    default = draw(st.sampled_from([..., None, 1, "a"]))
    return Annotated[Any, Field(alias=alias, json_schema_extra=extra)], default


@settings(max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_dicts_of_any_model(data: st.DataObject) -> None:
    """Whatever its fields are, were set to, and whatever the options."""
    drawn = data.draw(st.dictionaries(st.sampled_from(["a", "b", "c"]), fields(), max_size=3))
    is_open = data.draw(st.booleans())
    base = type("Base", (PymacaronBaseModel,), {"model_config": ConfigDict(extra="allow")}) if is_open else None
    model: Any = create_model("Drawn", __base__=base or PymacaronBaseModel, **drawn)  # type: ignore[call-overload]
    names = [name for name, (_annotation, default) in drawn.items() if default is ... or data.draw(st.booleans())]
    names += ["extra"] if is_open else []
    instance = model.model_construct(**{name: data.draw(values) for name in names})
    chosen = data.draw(options)
    expected = Plainly(**chosen).dump_model(instance)
    found = instance.to_json(**chosen)
    assert (repr(found), list(found)) == (repr(expected), list(expected))


@pytest.mark.parametrize("chosen", [{}, {"exclude_unset": False}, {"keep_nullable": True}])
def test_a_field_that_was_never_given(chosen: dict[str, bool]) -> None:
    """An instance that nobody validated may lack one; that is an error of who made it."""

    class Strict(PymacaronBaseModel):
        a: int

    with pytest.raises(AttributeError, match="a"):
        Strict.model_construct().to_json(**chosen)  # type: ignore[arg-type]
