"""The class that is generated for a document's callers."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pymacaron.codegen import generate_client, generate_models
from pymacaron.codegen.client import check_client, client_file_name
from pymacaron.codegen.handlers import add_stubs, list_handlers
from pymacaron.codegen.model_types import ModelTypes
from pymacaron.exceptions import SpecError
from pymacaron.spec import load_spec, parse_spec

CheckTypes = Callable[..., subprocess.CompletedProcess[str]]

SPECS = Path(__file__).parents[4] / "shared" / "specs"
PARTS = {"NewPet", "Pet", "parameters", "Error"}
REAL = [
    file
    for folder in ("oai", "realworld")
    for file in sorted((SPECS / folder).rglob("*"))
    if file.suffix in {".yaml", ".json"} and file.stem not in PARTS
]
HOSTILE = '''\
openapi: 3.1.0
info: {title: 'T """ + evil() + """', version: '1\\'}
paths:
  /x:
    get:
      operationId: '"); evil(); ("'
      summary: 'S """\\'
      description: "{evil()} \\\\"
      parameters:
        - {name: 'a"]); evil()', in: query, description: '"""; evil(); """', schema: {type: string, default: '"+e()+"'}}
        - {name: self, in: query, schema: {enum: ['")', "it's", "\\\\", "\\n"]}}
        - {name: cast, in: query, schema: {type: string}}
      responses:
        '200': {description: ok, content: {application/json: {schema: {const: '")'}}}}
  /y:
    get: {operationId: 'import os', responses: {'200': {description: ok}}}
    post: {operationId: list, responses: {'200': {description: ok}}}
    put: {operationId: call, responses: {'200': {description: ok}}}
    delete: {operationId: __init__, responses: {'200': {description: ok}}}
    patch: {operationId: class, responses: {'200': {description: ok}}}
'''


def test_the_whole_client(everything: str, golden: Callable[[str, str], None]) -> None:
    """A method for each operation, with the types of its models."""
    api = parse_spec(everything, source="apis/everything.yaml", name="everything")
    text = generate_client(api, "everything.yaml", generate_models(api))
    golden("everything_client.txt", re.sub(r"(?m)^# sha256: [0-9a-f]{64}$", "# sha256: of the document", text))


def test_text_of_a_document_is_never_code() -> None:
    """Names, texts and values with quotes, backslashes and code stay names, texts and values."""
    api = parse_spec(HOSTILE, source="apis/hostile.yaml", name="hostile")
    models = generate_models(api)
    text = generate_client(api, 'x"); evil(); (".yaml', models)
    tree = ast.parse(text)
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert calls == {"super", "super().__init__", "Path", "Path(__file__).with_name", "self.call", "cast"}
    (cls,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    methods = [node.name for node in cls.body if isinstance(node, ast.FunctionDef)]
    assert methods == ["__init__", "evil", "import_os", "list_", "call_", "init", "class_"]
    types = ModelTypes(models, is_importable=True)
    stubs = add_stubs("", [(handler, types, "apis.hostile_models") for handler in list_handlers(api)])
    names = {ast.unparse(node.func) for node in ast.walk(ast.parse(stubs)) if isinstance(node, ast.Call)}
    assert names == {"NotImplementedYetError"}


def test_a_document_whose_name_is_no_module(everything: str) -> None:
    """The client's file can be imported; types of models that cannot are Any."""
    api = parse_spec(everything, source="apis/my-things.yaml", name="my-things")
    text = generate_client(api, "my-things.yaml", generate_models(api))
    assert client_file_name(api) == "my_things_client.py"
    assert "class MyThingsClient(TypedClient):" in text
    assert "_models import" not in text
    assert "def get_thing(self, *, thing_id: int) -> Any:" in text


def test_comments_do_not_make_a_client_stale(everything: str) -> None:
    """Only what the document says counts."""
    texts = []
    for document in (everything, f"# a comment\n{everything}"):
        api = parse_spec(document, source="apis/everything.yaml", name="everything")
        texts.append(generate_client(api, "everything.yaml", generate_models(api)))
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("evil()\n", "evil()", id="call"),
        pytest.param("class A:\n    def f(self, x=evil()): ...\n", "evil()", id="default"),
        pytest.param(
            "class A:\n    def f(self):\n        self.call(__import__('os'))\n", "__import__('os')", id="argument"
        ),
        pytest.param("X = 1\n", "X = 1", id="assignment"),
        pytest.param("class A:\n    x = 1 +\n", "invalid syntax (<unknown>, line 2)", id="no Python"),
    ],
)
def test_text_that_would_do_more_is_refused(text: str, found: str) -> None:
    """A generator that let code through would be stopped."""
    with pytest.raises(SpecError) as caught:
        check_client("apis/pets.yaml", text)
    assert str(caught.value) == (
        f"apis/pets.yaml: the client made from it is no safe Python: {found}. Use plainer names and values."
    )


def test_type_checkers_accept_clients_and_stubs(tmp_path: Path, everything: str, check_types: CheckTypes) -> None:
    """A strict type checker finds nothing in what documents give, those of others too where they are there."""
    own = tmp_path / "everything.yaml"
    own.write_text(everything)
    (tmp_path / "apis").mkdir()
    documents = [own, *REAL]
    for number, file in enumerate(documents):
        api = load_spec(file, name=f"real_{number}")
        models = generate_models(api)
        client = generate_client(api, file.name, models)
        types = ModelTypes(models, is_importable=True)
        stubs = [(handler, types, f"apis.real_{number}_models") for handler in list_handlers(api)]
        (tmp_path / "apis" / f"real_{number}_models.py").write_text(models)
        (tmp_path / "apis" / client_file_name(api)).write_text(client)
        (tmp_path / f"handlers_{number}.py").write_text(add_stubs("", stubs, title="Handlers."))
        compile(client, str(file), "exec")
    assert len(REAL) == (37 if SPECS.is_dir() else 0)
    done = check_types(tmp_path, ".")
    expected = f"Success: no issues found in {3 * len(documents)} source files"
    assert done.stdout.startswith(expected), done.stdout + done.stderr
