"""Bodies over HTTP are accepted and refused as the JSON Schema Test Suite says."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from pymacaron import API
from pymacaron.config import set_config

SUITE = Path(__file__).parents[2] / "shared" / "specs" / "json-schema-test-suite"
EXCEPTIONS = Path(__file__).with_name("json_schema_suite_exceptions.yaml")
NUMBER_OF_CASES = {"draft2020-12": 1242, "draft4": 391}
VERSIONS = {"draft2020-12": "3.1.1", "draft4": "3.0.4"}
LEAST_SHARE = 0.99
STUBS = """\
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda body: None
"""
# Source: OpenAPI 3.0.4, "Schema Object".
KEYWORDS_OF_3_0 = {
    *("title", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength"),
    *("pattern", "maxItems", "minItems", "uniqueItems", "maxProperties", "minProperties", "required", "enum", "type"),
    *("not", "allOf", "oneOf", "anyOf", "items", "properties", "additionalProperties", "description", "format"),
    *("default", "$ref"),
}


@dataclass(frozen=True)
class Group:
    """Some cases of one schema."""

    file: str
    description: str
    schema: Any
    tests: list[dict[str, Any]]


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Write nothing: there are more than a thousand requests."""


def read_groups(draft: str) -> list[Group]:
    """Return the required part of the suite that needs no server of schemas."""
    groups = []
    for file in sorted((SUITE / draft).glob("*.json")):
        for group in json.loads(file.read_text()):
            schema = group["schema"]
            if file.stem == "refRemote" or "//localhost:1234" in json.dumps(schema):
                continue
            if draft == "draft4" and not is_of_3_0(schema):
                continue
            groups.append(Group(file.stem, group["description"], schema, group["tests"]))
    return groups


def is_of_3_0(schema: Any) -> bool:
    """Tell whether OpenAPI 3.0 has all keywords of *schema*, and takes their values."""
    if isinstance(schema, bool):
        return True
    if not isinstance(schema, dict) or not set(schema) <= KEYWORDS_OF_3_0:
        return False
    if isinstance(schema.get("type", "string"), list) or schema.get("type") == "null":
        return False
    if "://" in str(schema.get("$ref", "")):
        return False
    inner = [*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    properties = schema.get("properties", {})
    inner += properties.values() if isinstance(properties, dict) else ()
    inner += [schema[key] for key in ("not", "items", "additionalProperties") if key in schema]
    return all(is_of_3_0(part) for part in inner)


def write_document(folder: Path, draft: str, groups: list[Group]) -> None:
    """Write a document with an operation for each group, whose schema is a file of its own."""
    paths = {}
    (folder / "schemas").mkdir()
    for number, group in enumerate(groups):
        (folder / "schemas" / f"{number}.json").write_text(json.dumps(group.schema))
        content = {"application/json": {"schema": {"$ref": f"../schemas/{number}.json"}}}
        paths[f"/{number}"] = {
            "post": {
                "operationId": f"take{number}",
                "requestBody": {"required": True, "content": content},
                "responses": {"204": {"description": "Accepted."}},
            }
        }
    info = {"title": "Suite", "version": "1"}
    (folder / "apis").mkdir()
    (folder / "apis" / "suite.json").write_text(json.dumps({"openapi": VERSIONS[draft], "info": info, "paths": paths}))
    (folder / "suite_stubs.py").write_text(STUBS)
    (folder / "pym-config.yaml").write_text("name: suite\n")


@pytest.fixture
def service_folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder; what is imported from it is forgotten afterwards."""
    modules, paths = set(sys.modules), list(sys.path)
    yield tmp_path
    set_config(None)
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        if name.startswith("suite") or "suite_models" in name:
            del sys.modules[name]


def post_all(app: Flask, groups: list[Group]) -> dict[tuple[str, str, str], tuple[int, bool]]:
    """Send each case over one connection; return (file, group, test) -> status, and whether it is valid."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    answers = {}
    try:
        for number, group in enumerate(groups):
            for test in group.tests:
                body = json.dumps(test["data"]).encode()
                connection.request("POST", f"/{number}", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
                answers[group.file, group.description, test["description"]] = (response.status, test["valid"])
    finally:
        connection.close()
        server.shutdown()
        thread.join()
        server.server_close()
    return answers


@pytest.mark.parametrize("draft", ["draft2020-12", "draft4"])
def test_suite(draft: str, service_folder: Path) -> None:
    """Each case is answered with 204 or 400 as the suite says, but for those that are listed with their reason."""
    if not SUITE.is_dir():
        pytest.skip(f"{SUITE} is not there: the suite of others is not part of this repository")
    groups = read_groups(draft)
    write_document(service_folder, draft, groups)
    app = Flask("suite", root_path=str(service_folder))
    API(app, handlers="suite_stubs").load_apis().start()
    answers = post_all(app, groups)
    assert len(answers) == NUMBER_OF_CASES[draft]
    assert {status for status, _ in answers.values()} == {204, 400}
    wrong = {case for case, (status, is_valid) in answers.items() if is_valid != (status == 204)}
    listed = {
        (file, group, test)
        for entry in yaml.safe_load(EXCEPTIONS.read_text())
        if entry["draft"] == draft and entry["reason"]
        for file, group, test in entry["cases"]
    }
    assert wrong == listed
    assert len(wrong) <= (1 - LEAST_SHARE) * len(answers)
