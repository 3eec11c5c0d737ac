from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from pymacaron.config import PymConfig
from pymacaron.deploy.actions import do_contract, do_documents
from pymacaron.deploy.folder_shelf import FolderShelf
from pymacaron.deploy.journal import Journal
from pymacaron.deploy.lock import Lock
from pymacaron.deploy.release import Deploy, StepError
from pymacaron.deploy.steps import Step
from pymacaron.deploy.target import Placed, Release, Target
from pymacaron.deploy.wishes import Wishes

SHOP = "openapi: 3.1.0\ninfo: {title: Shop, version: '1'}\npaths: {}\n"


class Handler(BaseHTTPRequestHandler):
    """A release that answers every path with one status, and its document."""

    status = 200

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(SHOP.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Two:
    """A target with two releases. urls: where each answers, by version."""

    urls: dict[str, str]

    def current(self) -> list[Placed]:
        """Return both."""

        def make(version: str) -> Release:
            return Release(version, f"shop@sha256:{'0' * 64}", "", "", datetime(2026, 11, 27, tzinfo=UTC))

        return [Placed(make(version), url, 0) for version, url in self.urls.items()]


@pytest.fixture
def urls() -> Iterator[dict[int, str]]:
    """Serve releases that answer with one status each: status -> URL."""
    servers = {
        status: ThreadingHTTPServer(("127.0.0.1", 0), type("Answer", (Handler,), {"status": status}))
        for status in (200, 404, 503)
    }
    for server in servers.values():
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield {status: f"http://127.0.0.1:{server.server_port}" for status, server in servers.items()}
    for server in servers.values():
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [404, 503])
@pytest.mark.parametrize("step", ["documents", "contract"])
@pytest.mark.parametrize("is_allowed", [False, True], ids=["", "allowed"])
def test_documents_that_cannot_be_read_are_no_promise_that_nothing_breaks(
    urls: dict[int, str], tmp_path: Path, status: int, step: str, is_allowed: bool
) -> None:
    """The step ends with where they were looked for, unless clients may break."""
    (tmp_path / "apis").mkdir()
    (tmp_path / "apis" / "shop.yaml").write_text(SHOP)
    told: list[str] = []
    shelf = FolderShelf(tmp_path / "shelf")
    deploy = Deploy(
        config=PymConfig(apis_path=tmp_path / "apis"),
        target=cast("Target", Two({"old": urls[status], "new": urls[200]})),
        folder=tmp_path,
        journal=Journal(shelf, "deploys/one"),
        lock=Lock(shelf, 60, told.append),
        wishes=Wishes(is_breaking_allowed=is_allowed),
        steps=(),
        baseline="old",
        tell=told.append,
    )
    release = Two({"new": ""}).current()[0].release
    deploy.journal.write("plan", "done", {"release": release.to_json()})
    act: Any = {"documents": do_documents, "contract": do_contract}[step]
    text = (
        f"old publishes no document shop, GET {urls[status]}/doc/shop.yaml is answered {status}: whether clients break "
        "is unknown"
    )
    if is_allowed:
        act(deploy, Step(step, ""))
        assert told == [f"allowed to break clients: {text}"]
    else:
        with pytest.raises(StepError) as caught:
            act(deploy, Step(step, ""))
        assert caught.value.reason == text
