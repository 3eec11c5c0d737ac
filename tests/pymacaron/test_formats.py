"""Formats are as strict as their standards, and give Python types where Python has them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from pymacaron import formats

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
UUID_TEXT = "123e4567-e89b-12d3-a456-426614174000"


def read(name: str, text: str) -> Any:
    """Return what strict validation of a JSON text makes of it."""
    return TypeAdapter(getattr(formats, formats.FORMATS[name])).validate_json(json.dumps(text), strict=True)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        pytest.param("date-time", "2026-01-31T12:00:00Z", NOON, id="UTC"),
        pytest.param("date-time", "2026-01-31t12:00:00z", NOON, id="lower case"),
        pytest.param("date-time", "2026-01-31T12:00:00.5+00:00", NOON.replace(microsecond=500_000), id="fraction"),
        pytest.param("date-time", "2026-01-31T12:00:00.0000009Z", NOON, id="nanoseconds"),
        pytest.param(
            "date-time", "2026-01-31T14:00:00+02:00", NOON.astimezone(timezone(timedelta(hours=2))), id="offset"
        ),
        pytest.param("date-time", "1998-12-31T23:59:60Z", datetime(1999, 1, 1, tzinfo=UTC), id="leap second"),
        pytest.param(
            "date-time", "1998-12-31T15:59:60.5-08:00", datetime(1999, 1, 1, tzinfo=UTC), id="leap second abroad"
        ),
        pytest.param("date", "2026-01-31", date(2026, 1, 31), id="date"),
        pytest.param("uuid", UUID_TEXT.upper(), UUID(UUID_TEXT), id="uuid"),
        pytest.param("email", "a@b.cd", "a@b.cd", id="email"),
        pytest.param("uri", "http://a", "http://a", id="uri keeps its spelling"),
        pytest.param("time", "12:00:00Z", "12:00:00Z", id="time"),
        pytest.param("duration", "P1DT12H", "P1DT12H", id="duration"),
        pytest.param("decimal", "-12.50", Decimal("-12.50"), id="decimal"),
        pytest.param("decimal", "9" * 60, Decimal("9" * 60), id="decimal of any size"),
        pytest.param("byte", "UGV0cw==", "UGV0cw==", id="byte stays base64"),
        pytest.param("byte", "", "", id="no bytes"),
    ],
)
def test_values(name: str, text: str, expected: object) -> None:
    """Texts become the value that their standard says."""
    assert read(name, text) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("date-time", "1769853600", id="seconds since 1970"),
        pytest.param("date-time", "2026-01-31T12:00:00", id="no offset"),
        pytest.param("date-time", "2026-01-31 12:00:00Z", id="no T"),
        pytest.param("date-time", "2026-02-31T12:00:00Z", id="no such day"),
        pytest.param("date-time", "2026-01-31T24:00:00Z", id="hour 24"),
        pytest.param("date-time", "2026-01-31T12:00:00+10:60", id="offset of 60 minutes"),
        pytest.param("date-time", "1998-12-31T22:59:60Z", id="leap second within a day"),
        pytest.param("date-time", "9999-12-31T23:59:60Z", id="beyond the last year"),
        pytest.param("date-time", "\uff12026-01-31T12:00:00Z", id="digit of another script"),
        pytest.param("date", "20260131", id="date without hyphens"),
        pytest.param("date", "2026-02-30", id="no such date"),
        pytest.param("uuid", UUID_TEXT.replace("-", ""), id="uuid without hyphens"),
        pytest.param("uuid", f"{{{UUID_TEXT}}}", id="uuid in braces"),
        pytest.param("decimal", "1e5", id="decimal with an exponent"),
        pytest.param("decimal", "NaN", id="no number"),
        pytest.param("decimal", "01", id="decimal with a leading zero"),
        pytest.param("decimal", "\u0661", id="decimal of another script"),
        pytest.param("decimal", "1\n", id="decimal with a newline"),
        pytest.param("byte", "UGV0cw", id="base64 without padding"),
        pytest.param("byte", "UGV0_w==", id="base64 for URLs"),
        pytest.param("byte", "UGV0\ncw==", id="base64 in lines"),
        pytest.param("byte", "\u00e9\u00e9==", id="base64 that is not ASCII"),
    ],
)
def test_refused(name: str, text: str) -> None:
    """Texts that pydantic would take and the standard does not are refused."""
    with pytest.raises(ValidationError, match=f"Input should be a valid {name}, such as "):
        read(name, text)


@given(
    text=st.from_regex(
        r"[0-9]{3,5}-[0-9]{2}-[0-3][0-9]"
        r"([Tt ]([012][0-9]):[0-6][0-9](:[0-6][0-9])?(\.[0-9]{0,8})?([Zz]|[+-]([0-2][0-9]):?[0-6][0-9])?)?\n?",
        fullmatch=True,
    )
)
def test_the_short_way_reads_what_the_long_one_reads(text: str) -> None:
    """Texts of the usual form are read by other functions than the rest: the value is the same, or there is none."""
    for name, parse in (("date-time", formats.parse_date_time), ("date", formats.parse_date)):
        try:
            expected = parse(text)
        except PydanticCustomError:
            with pytest.raises(ValidationError) as refusal:
                read(name, text)
            assert refusal.value.error_count() == 1
        else:
            assert read(name, text) == expected
            assert read(name, text).isoformat() == expected.isoformat()


@pytest.mark.parametrize("name", ["time", "duration", "email", "hostname", "ipv4", "ipv6", "uri"])
@pytest.mark.parametrize(
    "text", ["", "a", "a@b.cd", "http://a/b?c#d", "::1", "1.2.3.4", "P1D", "12:00:00Z", "/a", "1/a", "(", "%"]
)
def test_text_formats(name: str, text: str) -> None:
    """Other formats stay text, and are judged as jsonschema-rs does."""
    expected = jsonschema_rs.validator_for({"format": name}, validate_formats=True).is_valid(text)
    try:
        assert read(name, text) == text
        assert expected
    except ValidationError as error:
        assert not expected
        assert error.errors()[0]["msg"] == f"Input should be a valid {name}"  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("date-time", NOON, id="datetime"),
        pytest.param("date", NOON.date(), id="date"),
        pytest.param("uuid", UUID(UUID_TEXT), id="uuid"),
        pytest.param("decimal", Decimal("0.1"), id="decimal"),
    ],
)
def test_python_values(name: str, value: object) -> None:
    """Python code gives Python values."""
    assert TypeAdapter(getattr(formats, formats.FORMATS[name])).validate_python(value) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("date-time", NOON.replace(tzinfo=None), id="naive time"),
        pytest.param("date-time", "soon", id="text"),
        pytest.param("email", 3, id="number"),
    ],
)
def test_wrong_python_values(name: str, value: object) -> None:
    """A time needs its zone; other types than the format's are refused."""
    with pytest.raises(ValidationError):
        TypeAdapter(getattr(formats, formats.FORMATS[name])).validate_python(value)


@pytest.mark.parametrize("text", ["0.0000001", "100", "-0", "1.50"])
def test_decimals_are_written_as_they_came(text: str) -> None:
    """A decimal is text in JSON too, without an exponent."""
    adapter = TypeAdapter[Any](formats.DecimalText)
    assert adapter.dump_json(adapter.validate_json(json.dumps(text))) == json.dumps(text).encode()


@pytest.mark.parametrize("name", sorted(formats.FORMATS))
@pytest.mark.parametrize("text", ["", "a", "2026-01-31", "2026-01-31T12:00:00Z", UUID_TEXT, "1.5", "1.2.3.4", "P1D"])
def test_judge_and_type_agree(name: str, text: str) -> None:
    """What the type of a format refuses is not of the format, and the other way round."""
    try:
        read(name, text)
        is_accepted = True
    except ValidationError:
        is_accepted = False
    assert formats.is_of_format(text, name=name) == is_accepted


def test_all_types_are_there() -> None:
    """Every format names a type of the module."""
    assert all(hasattr(formats, name) for name in formats.FORMATS.values())
