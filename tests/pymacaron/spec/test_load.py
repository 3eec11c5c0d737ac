"""Tests of `pymacaron.spec.load`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pymacaron.exceptions import SpecError
from pymacaron.spec import load_spec
from pymacaron.spec.load import SourceText, parse_data, read_source

MINIMAL = b'openapi: 3.1.0\ninfo: {title: "caf\xc3\xa9", version: "1"}\npaths: {}\n'


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(MINIMAL, id="utf-8"),
        pytest.param(b"\xef\xbb\xbf" + MINIMAL, id="utf-8 with a mark"),
        pytest.param(MINIMAL.decode().encode("utf-16"), id="utf-16"),
    ],
)
def test_encodings(tmp_path: Path, content: bytes) -> None:
    """A file may be in UTF-8 or UTF-16."""
    path = tmp_path / "pets.yaml"
    path.write_bytes(content)
    api = load_spec(path)
    assert (api.title, api.name, api.source) == ("café", "pets", str(path))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param(b"a: \xff\xfe", "byte 3 and what follows is no UTF-8. Save the file as UTF-8.", id="latin bytes"),
        pytest.param(
            b"\xff\xfea", "byte 2 and what follows is no UTF-16. Save the file as UTF-8.", id="half a character"
        ),
    ],
)
def test_wrong_encoding(tmp_path: Path, content: bytes, found: str) -> None:
    """Bytes that are no text are told."""
    path = tmp_path / "pets.yaml"
    path.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert str(caught.value) == f"{path}: {found}"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("none.yaml", "No such file or directory", id="missing"),
        pytest.param(".", "Is a directory", id="folder"),
        pytest.param("a\0b", "embedded null byte", id="impossible name"),
    ],
)
def test_unreadable_file(tmp_path: Path, name: str, reason: str) -> None:
    """A file that cannot be read is told, with the system's reason."""
    path = tmp_path / name
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert str(caught.value) == (f"{path}: this file cannot be read ({reason}). Give the path of an OpenAPI document.")


class _Documents(BaseHTTPRequestHandler):
    """Publishes one document."""

    def do_GET(self) -> None:
        is_there = self.path.startswith("/specs/pets.yaml")
        self.send_response(200 if is_there else 404)
        self.end_headers()
        self.wfile.write(MINIMAL if is_there else b"")

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Documents) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_url(server: str) -> None:
    """A document is read from a URL, and is called after its path."""
    api = load_spec(f"{server}/specs/pets.yaml?v=2")
    assert (api.name, api.title, api.source) == ("pets", "café", f"{server}/specs/pets.yaml?v=2")


def test_url_without_document(server: str) -> None:
    """An answer that is no success is told with its status."""
    with pytest.raises(SpecError) as caught:
        read_source(f"{server}/none")
    assert str(caught.value) == (f"{server}/none: the server answered 404. Give the address of an OpenAPI document.")


def test_url_without_server() -> None:
    """A server that does not answer is told."""
    with pytest.raises(SpecError) as caught:
        read_source("http://127.0.0.1:1/pets.yaml")
    assert str(caught.value) == (
        "http://127.0.0.1:1/pets.yaml: nothing could be fetched (ConnectionError). Check the address and the server."
    )


@pytest.mark.parametrize(
    ("source", "text", "line", "found"),
    [
        pytest.param("a.json", '{"a": 1,\n "b" 2}', 2, "this is no valid JSON: Expecting ':' delimiter", id="broken"),
        pytest.param("a.json", "", None, "", id="empty"),
        pytest.param("a.json", '{"a": 1,\n "a": 2}', 2, "the key 'a' stands here twice", id="key twice"),
        pytest.param(
            "a.json",
            '{"a": "\\ud800", "a": 1}',
            None,
            "this JSON cannot be used: a key stands twice in one object",
            id="key twice, no YAML",
        ),
        pytest.param("a.json", '{"a": ' + "9" * 5000 + "}", None, "", id="very long number becomes text"),
        pytest.param("a.json", "[" * 100_000, None, "nesting is deeper than 100 levels", id="absurd nesting"),
        pytest.param("a.json", "[" * 200 + "]" * 200, None, "nesting is deeper than 100 levels", id="nesting"),
        pytest.param("a.json", '{"a": NaN}', None, "", id="NaN becomes text"),
        pytest.param("a.yaml", "{a: 1, b: [2]}", None, "", id="flow YAML that looks like JSON"),
    ],
)
def test_json(source: str, text: str, line: int | None, found: str) -> None:
    """JSON is read as JSON, what is not quite JSON as YAML; faults carry lines where they are known."""
    _, faults = parse_data(SourceText(source, text))
    assert [(fault.line, fault.found) for fault in faults] == ([(line, found)] if found else [])
