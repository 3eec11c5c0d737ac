"""Stubs are added to a module of handlers, and nothing that stands there changes."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymacaron.codegen import generate_models
from pymacaron.codegen.handlers import WantedHandler, add_stubs, find_missing, list_handlers
from pymacaron.codegen.model_types import ModelTypes
from pymacaron.codegen.signature import write_docstring
from pymacaron.spec import Api, parse_spec

MODELS = "apis.all_models"


@pytest.fixture(scope="module")
def api(everything: str) -> Api:
    """Return a document with every kind of parameter, body and answer."""
    return parse_spec(everything, source="apis/everything.yaml", name="everything")


@pytest.fixture(scope="module")
def types(api: Api) -> ModelTypes:
    """Return the types of its models."""
    return ModelTypes(generate_models(api), is_importable=True)


def _add(text: str, api: Api, types: ModelTypes, *names: str) -> str:
    wanted = [handler for handler in list_handlers(api) if handler.names[0] in names]
    return add_stubs(text, [(handler, types, MODELS) for handler in wanted], title="Handlers.")


def test_all_stubs(api: Api, types: ModelTypes, golden: Callable[[str, str], None]) -> None:
    """Signatures say what the document says, with the types of its models."""
    stubs = [(handler, types, MODELS) for handler in list_handlers(api)]
    golden("everything_handlers.txt", add_stubs("", stubs, title="Handlers of everything."))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param('"""Only a docstring."""', id="docstring without an end of line"),
        pytest.param("# only a comment\n", id="comment"),
        pytest.param("import os\r\n\r\n\r\nX = 1\r\n", id="Windows"),
        pytest.param("import os\n\n\ndef get_one(a):\n\treturn a  # mine", id="tabs"),
        pytest.param("x = 1\nimport os  # late\n", id="import after code"),
        pytest.param("from __future__ import annotations\n\nx = 1\n", id="future"),
        pytest.param('"""Doc."""\n\nfrom a import (\n    b,\n    c,\n)\n\nx = """\nimport no\n"""\n', id="long import"),
        pytest.param("import os; x = 1\n", id="two statements in a line"),
        pytest.param("import os\n\x0c\nX = '\x1c'\n", id="page break"),
        pytest.param("from pymacaron import NotImplementedYetError\n", id="import that is there"),
    ],
)
def test_what_stands_there_stays(api: Api, types: ModelTypes, text: str) -> None:
    """Every line of the module is still there, in its order; a second run adds nothing."""
    result = _add(text, api, types, "get_thing", "make_thing")
    remaining = iter(result.splitlines())
    assert all(any(line == found for found in remaining) for line in text.splitlines())
    ends = {"\r\n"} if "\r\n" in text else {"\n"}
    assert {line[-2:] if line.endswith("\r\n") else line[-1:] for line in result.splitlines(keepends=True)} <= ends | {
        "\x0c",
        "\x1c",
    }
    wanted = [handler for handler in list_handlers(api) if handler.names[0] in {"get_thing", "make_thing"}]
    assert find_missing(result, wanted) == []
    assert result.count("import NotImplementedYetError") == 1
    compile(result, "handlers.py", "exec")


def test_a_statement_that_would_be_cut_is_refused(api: Api, types: ModelTypes) -> None:
    """Where imports would land inside of a statement, nothing is changed."""
    with pytest.raises(ValueError, match="what it holds would change"):
        _add('import os; x = """\nimport no\n"""\n', api, types, "get_thing")


def test_a_name_that_is_taken_gets_another_one(api: Api, types: ModelTypes) -> None:
    """A class of the module that is called like a model stays what it is."""
    result = _add("class Thing:\n    pass\n", api, types, "get_thing")
    assert "from apis.all_models import Thing as Thing_2\n" in result
    assert "def get_thing(*, thing_id: int) -> Thing_2:\n" in result


@pytest.mark.parametrize(
    ("text", "is_missing"),
    [
        pytest.param("", True, id="empty"),
        pytest.param("def get_thing(): ...\n", False, id="function"),
        pytest.param("async def getThing(): ...\n", False, id="coroutine under the operation's own name"),
        pytest.param("from elsewhere import get_thing\n", False, id="import"),
        pytest.param("from elsewhere import x as get_thing\n", False, id="import under that name"),
        pytest.param("get_thing = make('x')\n", False, id="assignment"),
        pytest.param("a, (get_thing, b) = make('x')\n", False, id="assignment of several"),
        pytest.param("try:\n    from a import get_thing\nexcept ImportError:\n    pass\n", False, id="inside try"),
        pytest.param("if (get_thing := 1):\n    pass\n", False, id="inside an expression"),
        pytest.param("from elsewhere import *\n", False, id="import of everything"),
        pytest.param("def __getattr__(name): ...\n", False, id="names made on demand"),
        pytest.param("class A:\n    def get_thing(self): ...\n", True, id="method"),
        pytest.param("def f():\n    get_thing = 1\n", True, id="local variable"),
        pytest.param("f = lambda: (get_thing := 1)\n", True, id="inside lambda"),
        pytest.param("'get_thing'\n", True, id="text"),
    ],
)
def test_which_handlers_are_there(api: Api, text: str, is_missing: bool) -> None:
    """Whatever binds the name is a handler; where names cannot be told from the text, none is missing."""
    wanted: list[WantedHandler] = [handler for handler in list_handlers(api) if handler.names[0] == "get_thing"]
    assert find_missing(text, wanted) == (wanted if is_missing else [])


@given(st.lists(st.text(), min_size=1))
def test_docstrings_mean_what_the_document_says(paragraphs: list[str]) -> None:
    """Whatever a text holds, it is a docstring of its visible words and nothing else."""
    lines = ["def f() -> None:", *write_docstring(paragraphs, "    "), "    pass", ""]
    tree = ast.parse("\n".join(lines))
    assert len(tree.body) == 1
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    assert len(function.body) == 2
    shown = ["".join(c if c.isprintable() else " " for c in paragraph) for paragraph in paragraphs]
    assert (ast.get_docstring(function) or "").split() == " ".join(shown).split()
