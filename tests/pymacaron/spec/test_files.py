"""Tests of `pymacaron.spec.files` and `load`: which files and hosts references may lead to, within which bounds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pymacaron.exceptions import SpecError, UnreadableSpecError
from pymacaron.spec import load_spec
from pymacaron.spec.files import MAX_FILES, FileFinder
from pymacaron.spec.load import download, read_file

DOCUMENT = """\
openapi: 3.0.3
info: {{title: a, version: "1"}}
paths: {{}}
components: {{schemas: {{A: {{$ref: "{ref}"}}}}}}
"""
PARTS = "Pet: {type: object, properties: {tag: {$ref: 'more/tag.yaml'}}}\n"


class _Pages(BaseHTTPRequestHandler):
    """Serves documents, a redirect and an endless text."""

    def do_GET(self) -> None:
        pages = {
            "/api.yaml": DOCUMENT.format(ref="parts.yaml#/Pet"),
            "/far.yaml": DOCUMENT.format(ref="http://localhost:1/parts.yaml"),
            "/file.yaml": DOCUMENT.format(ref="file:///etc/hostname"),
            "/parts.yaml": PARTS,
            "/more/tag.yaml": "type: string\n",
        }
        self.server.seen.append(self.path)  # type: ignore[attr-defined]
        if self.path == "/moved.yaml":
            self.send_response(302)
            self.send_header("Location", "/parts.yaml")
            self.end_headers()
            return
        self.send_response(200 if self.path in pages or self.path == "/large.yaml" else 404)
        self.end_headers()
        self.wfile.write(b"x" * 10_000 if self.path == "/large.yaml" else pages.get(self.path, "").encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def pages() -> Iterator[tuple[str, list[str]]]:
    """Serve documents; return the address and the paths that were asked for."""
    with HTTPServer(("127.0.0.1", 0), _Pages) as server:
        server.seen = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", server.seen  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


def write_document(folder: Path, ref: str) -> Path:
    path = folder / "service" / "apis" / "api.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(DOCUMENT.format(ref=ref))
    return path


def find_fault(source: Path | str, *hosts: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(source, remote_ref_hosts=hosts)
    (finding,) = caught.value.findings
    return f"{finding.found}. {finding.fix}."


@pytest.mark.parametrize("has_port", [True, False], ids=["host and port", "host"])
def test_allowed_hosts(tmp_path: Path, pages: tuple[str, list[str]], *, has_port: bool) -> None:
    """A document may refer to hosts that are allowed; files there refer to others next to them."""
    url, _ = pages
    path = write_document(tmp_path, f"{url}/parts.yaml#/Pet")
    api = load_spec(path, remote_ref_hosts=[url.removeprefix("http://") if has_port else "127.0.0.1"])
    assert api.schemas["Pet"]["properties"] == {"tag": {"$ref": "#/components/schemas/Tag"}}
    assert api.schemas["Tag"] == {"type": "string"}
    assert sorted(api.files) == [f"{url}/more/tag.yaml", f"{url}/parts.yaml"]
    assert api.place_of(f"{url}/parts.yaml#/Pet/properties") == f"{url}/parts.yaml:1#/Pet/properties"


def test_other_hosts_are_not_asked(tmp_path: Path, pages: tuple[str, list[str]]) -> None:
    """Without leave nothing is fetched, and the finding says how to give it."""
    url, seen = pages
    host = url.removeprefix("http://")
    assert find_fault(write_document(tmp_path, f"{url}/parts.yaml#/Pet"), "example.com", "127.0.0.1:1") == (
        f"$ref '{url}/parts.yaml#/Pet' cannot be used: references to the host {host} are not allowed."
        f" Copy the part into the document, or allow the host: remote_ref_hosts: [{host}] in pym-config.yaml,"
        f" --allow-host {host} of pymacaron check."
    )
    assert seen == []


def test_documents_from_a_url(pages: tuple[str, list[str]]) -> None:
    """They refer to their own host as they like, and to nothing else."""
    url, _ = pages
    assert load_spec(f"{url}/api.yaml").schemas["Tag"] == {"type": "string"}
    assert "references to the host localhost:1 are not allowed" in find_fault(f"{url}/far.yaml")
    assert "it names another file, which only a document in a file can do" in find_fault(f"{url}/file.yaml")


@pytest.mark.parametrize(
    ("page", "found"),
    [
        pytest.param("/moved.yaml", "the server answered 302", id="redirect"),
        pytest.param("/nothing.yaml", "the server answered 404", id="nothing there"),
    ],
)
def test_what_allowed_hosts_may_answer(tmp_path: Path, pages: tuple[str, list[str]], page: str, found: str) -> None:
    """A redirect could lead to a host that is not allowed: none is followed."""
    url, _ = pages
    path = write_document(tmp_path, url + page)
    assert find_fault(path, "127.0.0.1") == (
        f"$ref '{url}{page}' cannot be used: {found}. Correct the path or the file."
    )


def test_sizes_are_bounded(tmp_path: Path, pages: tuple[str, list[str]]) -> None:
    """A text is read no further than its bound."""
    url, _ = pages
    with pytest.raises(UnreadableSpecError, match=r"it is larger than 1000 bytes\. Split it into several documents"):
        download(f"{url}/large.yaml", most_bytes=1_000)
    (tmp_path / "large.yaml").write_text("x" * 1_001)
    with pytest.raises(UnreadableSpecError, match="it is larger than 1000 bytes"):
        read_file(tmp_path / "large.yaml", most_bytes=1_000)


def test_the_number_of_files_is_bounded(tmp_path: Path) -> None:
    """A chain of files ends somewhere."""
    path = tmp_path / "api.yaml"
    path.write_text("{}")
    finder = FileFinder(str(path))
    for _ in range(MAX_FILES):
        finder.read("api.yaml")
    with pytest.raises(SpecError, match="more than 1000 files or 64 MiB"):
        finder.read("api.yaml")


@pytest.mark.parametrize(
    "ref",
    [
        pytest.param("../../outside.yaml", id="two folders up"),
        pytest.param("../../../etc/passwd", id="far up"),
        pytest.param("%2e%2e/..%2f../outside.yaml", id="escaped"),
        pytest.param("link.yaml", id="symbolic link"),
        pytest.param("links/outside.yaml", id="symbolic link to a folder"),
        pytest.param("/etc/passwd", id="absolute"),
        pytest.param("file:///etc/passwd", id="file URI"),
    ],
)
def test_files_outside_are_not_read(tmp_path: Path, ref: str) -> None:
    """References stay in the document's folder and the one above it, whatever way they take."""
    path = write_document(tmp_path, ref)
    (tmp_path / "outside.yaml").write_text("type: string\n")
    (path.parent / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    (path.parent / "links").symlink_to(tmp_path)
    assert find_fault(path) == (
        f"$ref '{ref}' cannot be used: it leaves the folder that holds this one. Copy the part into the document."
    )


def test_the_root_of_the_file_system_is_no_folder_above() -> None:
    """A document in /apis may not refer to everything there is."""
    finder = FileFinder("/apis/api.yaml")
    assert finder.find_key("file:///-/-/more/pet.yaml") == "more/pet.yaml"
    with pytest.raises(SpecError, match="it leaves the folder"):
        finder.find_key("file:///-/etc/passwd")


def test_files_around_are_read_once(tmp_path: Path) -> None:
    """The folder above belongs to the document; two ways to a file, or a link, lead to one part."""
    path = write_document(tmp_path, "../common/pet.yaml")
    common = path.parent.parent / "common"
    common.mkdir()
    (common / "pet.yaml").write_text(
        "properties:\n  a: {$ref: ../apis/a.yaml}\n  b: {$ref: ../apis/b.yaml}\n"
        "  c: {$ref: '../apis/api.yaml#/components/schemas/A'}\n"
    )
    (path.parent / "a.yaml").write_text("type: string\n")
    (path.parent / "b.yaml").symlink_to(path.parent / "a.yaml")
    api = load_spec(path)
    properties = api.schemas["Pet"]["properties"]
    assert properties["a"] == properties["b"]
    assert properties["c"] == {"$ref": "#/components/schemas/A"}
    assert len(api.files) == 2


def test_secrets_in_files_are_not_shown(tmp_path: Path) -> None:
    """What a wrong reference leads to does not reach the finding."""
    path = write_document(tmp_path, "../pym-config.yaml#/jwt_secret")
    (path.parent.parent / "pym-config.yaml").write_text("jwt_secret: hunter2\n")
    fault = find_fault(path)
    assert "hunter2" not in fault
    assert fault.startswith("$ref '../pym-config.yaml#/jwt_secret' leads to a text where a schema must stand")
