"""Modules that do more than define models are refused."""

from __future__ import annotations

import pytest

from pymacaron.codegen.check import check_text
from pymacaron.exceptions import SpecError

MODULE = '''\
from pydantic import Field
from typing_extensions import TypeAliasType

Name = TypeAliasType("Name", str)
"""What something is called."""


class Pet:
    """An animal."""

    name: Name = Field(max_length=3)


Pet.model_rebuild()
'''


def test_models_pass() -> None:
    """Imports, classes, names and docstrings are all that a module may hold."""
    check_text("pets.yaml", MODULE)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        pytest.param("print(1)", "print(1)", id="call"),
        pytest.param("x = open('f')", "open('f')", id="call in an assignment"),
        pytest.param("def f(): pass", "def f():", id="function"),
        pytest.param("class X:\n    for _ in []: pass", "for _ in []:", id="statement in a class"),
        pytest.param("x = (", "'(' was never closed", id="broken Python"),
        pytest.param("x = '\ud800'", "surrogates not allowed", id="half a character"),
    ],
)
def test_strangers_are_refused(line: str, found: str) -> None:
    """Anything else is a finding that shows it."""
    with pytest.raises(SpecError) as caught:
        check_text("pets.yaml", f"{MODULE}\n{line}\n")
    text = str(caught.value)
    assert text.startswith("pets.yaml: the models made from it are no safe Python: ")
    assert found in text
    assert text.endswith(". Use plainer names and values.")
