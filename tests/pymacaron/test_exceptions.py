"""Errors carry what callers and developers need."""

from __future__ import annotations

import pytest

from pymacaron import exceptions
from pymacaron.exceptions import (
    AuthTokenExpiredError,
    ConfigError,
    Finding,
    HttpError,
    InvalidParameterError,
    PyMacaronException,
    add_error,
    is_error,
)


def test_a_finding_says_where_what_and_what_to_do() -> None:
    """The text of a finding has three parts."""
    finding = Finding("pets.yaml:3#/paths", "it is empty", "Add a path")
    assert str(finding) == "pets.yaml:3#/paths: it is empty. Add a path."


@pytest.mark.parametrize(
    ("line", "pointer", "where"),
    [
        pytest.param(3, "/paths", "pets.yaml:3#/paths", id="line and pointer"),
        pytest.param(None, "/paths", "pets.yaml#/paths", id="pointer"),
        pytest.param(3, None, "pets.yaml:3", id="line"),
        pytest.param(3, "", "pets.yaml:3#", id="whole document"),
        pytest.param(None, None, "pets.yaml", id="file"),
    ],
)
def test_findings_in_files_have_parts(line: int | None, pointer: str | None, where: str) -> None:
    """File, line and pointer are fields of their own beside the text."""
    finding = Finding.at("pets.yaml", line, pointer, found="it is empty", fix="Add a path")
    assert str(finding) == f"{where}: it is empty. Add a path."
    assert (finding.where, finding.file, finding.line, finding.pointer) == (where, "pets.yaml", line, pointer or "")


def test_a_startup_error_has_a_line_for_each_finding() -> None:
    """Several findings become several lines."""
    error = ConfigError([Finding("a", "b", "C"), Finding("d", "e", "F")])
    assert str(error) == "a: b. C.\nd: e. F."
    assert len(error.findings) == 2


def test_the_error_body_has_the_fields_of_the_design() -> None:
    """Optional fields only appear when they are set."""
    error = InvalidParameterError("name is too long", user_message="Choose a shorter name")
    assert error.to_dict() == {
        "status": 400,
        "error": "INVALID_PARAMETER",
        "error_description": "name is too long",
        "user_message": "Choose a shorter name",
    }


def test_what_was_caught_is_remembered() -> None:
    """caught() returns the error itself, so that it can be raised in one line."""
    error = PyMacaronException("no").caught(ValueError("why"))
    assert error.to_dict()["error_caught"] == "ValueError: why"


def test_http_error_takes_status_and_code_at_creation() -> None:
    """Statuses without a class of their own share HttpError."""
    assert HttpError(404, "NOT_FOUND", "no such page").to_dict() == {
        "status": 404,
        "error": "NOT_FOUND",
        "error_description": "no such page",
    }


def test_add_error_registers_a_subclass() -> None:
    """The new class is found in the module, as in pymacaron 2."""
    error = add_error("TeapotError", "TEAPOT", 418)
    assert exceptions.TeapotError is error  # type: ignore[attr-defined]
    assert (error("short and stout").status, error.code) == (418, "TEAPOT")


class _ErrorModel:
    status, error, error_description = 400, "X", "y"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(AuthTokenExpiredError("old"), True, id="exception"),
        pytest.param({"status": 400, "error": "X", "error_description": "y"}, True, id="body"),
        pytest.param(_ErrorModel(), True, id="model"),
        pytest.param({"status": "ok"}, False, id="other dict"),
        pytest.param("error", False, id="text"),
    ],
)
def test_is_error_knows_errors(value: object, expected: bool) -> None:
    """Exceptions, bodies and models with the fields of an error are errors."""
    assert is_error(value) is expected
