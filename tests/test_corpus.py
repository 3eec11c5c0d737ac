"""Documents that others collected are judged as their authors judged them, and none does harm."""

from __future__ import annotations

import ast
import resource
import sys
import time
from pathlib import Path

import pytest

from pymacaron.check import check_document
from pymacaron.codegen import generate_models
from pymacaron.exceptions import SpecError
from pymacaron.spec import load_spec

SPECS = Path(__file__).parents[2] / "shared" / "specs"
EXAMPLES = SPECS / "openapi3-examples"
# Judged otherwise than the collection says, and why.
OTHERWISE = {
    "3.0/pass/resolution/twolevel/subdir1/test.yaml": "a path item, part of ../index.yaml; no document",
    "3.0/pass/resolution/twolevel/subdir1/subdir2/ok.yaml": "a schema, part of ../../index.yaml; no document",
    "3.0/pass/server_enum_empty.yaml": "OpenAPI 3.0 requires paths",
    "3.0/pass/server_enum_unknown.yaml": "OpenAPI 3.0 requires paths",
}
# Files of petstore-separate that its swagger.yaml refers to.
PARTS = {"NewPet", "Pet", "parameters", "Error"}
SUFFIXES = {".yaml", ".yml", ".json"}


def files_under(*folders: Path) -> list[Path]:
    return [
        file for folder in folders for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix in SUFFIXES
    ]


def name_of(file: Path) -> str:
    return file.relative_to(EXAMPLES if EXAMPLES in file.parents else SPECS).as_posix()


JUDGED = files_under(*(EXAMPLES / version / kind for version in ("3.0", "3.1") for kind in ("pass", "fail")))
HOSTILE = files_under(EXAMPLES / "3.0" / "malicious")
REAL = [
    file for file in files_under(*(SPECS / name for name in ("oai", "realworld", "twilio"))) if file.stem not in PARTS
]


@pytest.fixture(autouse=True)
def _documents() -> None:
    """Skip where the documents of others are not there."""
    if not SPECS.is_dir():
        pytest.skip(f"{SPECS} is not there: the documents of others are not part of this repository")


def test_documents_are_judged_right() -> None:
    """Of the 185 documents that must pass or must fail, only those that are listed are judged otherwise."""
    verdicts = {name_of(file): check_document(str(file)).verdict for file in JUDGED}
    wrong = {name for name, verdict in verdicts.items() if ("/pass/" in name) != (verdict in ("clean", "empty"))}
    assert len(JUDGED) == 185
    assert wrong == OTHERWISE.keys()


@pytest.mark.parametrize("file", REAL, ids=name_of)
def test_valid_documents_are_clean(file: Path) -> None:
    """Nothing is found in real documents."""
    checked = check_document(str(file))
    assert (checked.verdict, checked.findings) == ("clean", ())


@pytest.mark.parametrize(
    "file",
    files_under(EXAMPLES / "3.0" / "partial", EXAMPLES / "3.0" / "resources"),
    ids=name_of,
)
def test_parts_are_refused(file: Path) -> None:
    """What is only a part of a document is told to be none."""
    with pytest.raises(SpecError, match="neither openapi nor swagger says which version this is"):
        load_spec(file)


@pytest.mark.parametrize("file", HOSTILE, ids=name_of)
def test_hostile_documents_do_no_harm(file: Path) -> None:
    """A document made to harm is refused, or gives models without a word of it in their code, soon."""
    begin = time.process_time()
    try:
        api = load_spec(file)
    except SpecError:
        pass
    else:
        tree = ast.parse(generate_models(api))
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        imported = {
            node.module if isinstance(node, ast.ImportFrom) else alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert calls <= {"Field", "ConfigDict", "TypeAliasType"}
        assert imported <= {
            "__future__",
            "typing",
            "pydantic",
            "typing_extensions",
            "pymacaron.model",
            "pymacaron.formats",
        }
    assert time.process_time() - begin < 10


BOMBS = {
    "aliases": "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(9)),
    "nesting in YAML": "a: " + "[" * 5_000 + "]" * 5_000,
    "nesting in JSON": '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "merges": "a: &a {" + ", ".join(f"k{n}: {n}" for n in range(200)) + "}\n"
    + "\n".join(f"b{n}: {{<<: [{', '.join(['*a'] * 50)}]}}" for n in range(200)),
    "references in circles": "openapi: 3.1.0\ninfo: {title: a, version: b}\ncomponents: {schemas: {"
    + ", ".join(f"S{n}: {{$ref: '#/components/schemas/S{(n + 1) % 2000}'}}" for n in range(2_000)) + "}}",
    "a chain of references": "openapi: 3.1.0\ninfo: {title: a, version: b}\ncomponents: {schemas: {"
    + ", ".join(f"S{n}: {{$ref: '#/components/schemas/S{n + 1}'}}" for n in range(2_000)) + ", S2000: {type: string}}}",
    "a long number": "a: " + "9" * 100_000,
}  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="it has no resource limits")
@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_bombs_take_little(tmp_path: Path, text: str) -> None:
    """A small text that would become a large document is judged in seconds and in megabytes."""
    file = tmp_path / "bomb.yaml"
    file.write_text(text)
    begin, size_kib = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    check_document(str(file))
    assert time.process_time() - begin < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - size_kib < 300 * 1024
