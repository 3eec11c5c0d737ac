from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pymacaron.exceptions import TargetError
from pymacaron.published import fetch_all_documents, fetch_documents

SHOP = "openapi: 3.1.0\ninfo: {title: Shop, version: '1'}\npaths: {}\n"
LINKS = '<a href="/doc/shop">shop</a> <a href="/doc/ping">ping</a> <a href="/doc/shop.yaml">shop.yaml</a>'


class Release(ThreadingHTTPServer):
    """A release that answers each path with its status and text, and others with 404."""

    daemon_threads = True
    pages: dict[str, tuple[int, str]] = {}  # noqa: RUF012 - each test sets its own

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers by the release's pages."""

    server: Release

    def do_GET(self) -> None:
        """Answer."""
        status, text = self.server.pages.get(self.path, (404, ""))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def release() -> Iterator[Release]:
    """Run a release on a free port."""
    with Release(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param((404, ""), "GET {url}/doc/shop.yaml is answered 404", id="not there"),
        pytest.param((503, SHOP), "GET {url}/doc/shop.yaml is answered 503", id="busy"),
        pytest.param((200, "<html>"), "GET {url}/doc/shop.yaml is no document: ", id="a page"),
        pytest.param((200, SHOP), "", id="there"),
    ],
)
def test_what_could_not_be_read_is_told(release: Release, answer: tuple[int, str], why: str) -> None:
    """A document that is not there, or not readable, is missing, with the reason."""
    release.pages = {"/doc/shop.yaml": answer}
    found = fetch_all_documents(release.url, ["shop"])
    assert [api.name for api in found.apis] == ([] if why else ["shop"])
    assert set(found.missing) == ({"shop"} if why else set())
    assert found.missing.get("shop", "").startswith(why.format(url=release.url))


def test_the_page_of_documents_says_which_there_are(release: Release) -> None:
    """One of another name is new, and not missing; one that is linked is read, even if nobody asked for it."""
    release.pages = {"/doc": (200, LINKS), "/doc/shop.yaml": (200, SHOP)}
    found = fetch_all_documents(release.url, ["parcels"])
    assert ([api.name for api in found.apis], dict(found.missing)) == (["shop"], {})
    assert list(fetch_documents(release.url, ["shop", "parcels"]).missing) == ["parcels"]


def test_documents_may_be_elsewhere(release: Release) -> None:
    """Where the service publishes them, or where others have their only one."""
    release.pages = {"/api-doc": (200, LINKS.replace("/doc", "/api-doc")), "/api-doc/shop.yaml": (200, SHOP)}
    assert [api.name for api in fetch_all_documents(release.url, ["shop"], "/api-doc").apis] == ["shop"]
    release.pages = {"/openapi.json": (200, SHOP)}
    assert [api.name for api in fetch_documents(release.url, ["shop"]).apis] == ["shop"]


def test_nobody_answers() -> None:
    """That is no matter of documents."""
    with pytest.raises(TargetError, match=r"http://127.0.0.1:1/doc: it does not answer \(ConnectionError\)"):
        fetch_all_documents("http://127.0.0.1:1", ["shop"])
