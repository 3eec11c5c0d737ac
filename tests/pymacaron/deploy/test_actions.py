from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from pymacaron.config import PymConfig
from pymacaron.deploy.actions import REPORT, do_contract, do_documents, do_tests
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
    """A target with two releases. urls: where each answers, by version. asked: for whose page."""

    urls: dict[str, str]
    asked: list[str] = field(default_factory=list)

    def check(self, version: str) -> None:
        """Find it well."""

    def metrics(self, version: str) -> str:
        """Return which page it is."""
        self.asked.append(version)
        return f"# page {len(self.asked)} of all instances of {version}\n"

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


def make_deploy(
    folder: Path, target: Two, told: list[str], *, baseline: str | None = None, is_allowed: bool = False
) -> Deploy:
    """Return a deploy of the release ``new`` from *folder*."""
    shelf = FolderShelf(folder / "shelf")
    deploy = Deploy(
        config=PymConfig(apis_path=folder / "apis"),
        target=cast("Target", target),
        folder=folder,
        journal=Journal(shelf, "deploys/one"),
        lock=Lock(shelf, 60, told.append),
        wishes=Wishes(is_breaking_allowed=is_allowed),
        steps=(),
        baseline=baseline,
        tell=told.append,
    )
    release = Two({"new": ""}).current()[0].release
    deploy.journal.write("plan", "done", {"release": release.to_json()})
    return deploy


def test_tests_are_judged_by_what_all_instances_counted(urls: dict[int, str], tmp_path: Path) -> None:
    """The tests themselves see the page of whichever instance answers; the target adds them up."""
    (tmp_path / "testaccept").mkdir()
    (tmp_path / "testaccept" / "test_shop.py").write_text("def test_shop(http):\n    assert http.get('/').ok\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\npymacaron = true\n")
    target = Two({"new": urls[200]})
    deploy = make_deploy(tmp_path, target, [])
    with pytest.raises(StepError, match="undecided: Contract: "):
        do_tests(deploy, Step("tests", ""))
    report = json.loads((deploy.work_folder / REPORT).read_text())
    pages = {when: f"# page {number} of all instances of new\n" for when, number in (("before", 1), ("after", 2))}
    assert (report["summary"]["passed"], report["metrics"]) == (1, pages)


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
    target = Two({"old": urls[status], "new": urls[200]})
    deploy = make_deploy(tmp_path, target, told, baseline="old", is_allowed=is_allowed)
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
