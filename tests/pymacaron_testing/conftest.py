"""Live services for the plugin to test, in threads of the test process."""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from pymacaron.spec import load_spec
from pymacaron_testing.checks import GROUPS
from pymacaron_testing.credentials import Credentials, Identity
from pymacaron_testing.generation import Generator
from pymacaron_testing.resources import Resources
from pymacaron_testing.session import RequestCount, TargetSession
from pymacaron_testing.suite import Suite
from pymacaron_testing.wire import Wire

SERVICES = Path(__file__).parent / "services"

Serve = Callable[[Any], str]
LoadService = Callable[[str], ModuleType]


@pytest.fixture(scope="session")
def load_service() -> LoadService:
    """Give a function that returns the module of a service in services/, by its stem."""

    def load(stem: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"planted_{stem}", SERVICES / f"{stem}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def pets_module(load_service: LoadService) -> ModuleType:
    """Give the module of the pets service."""
    return load_service("pets")


class _SilentHandler(WSGIRequestHandler):
    """Answers without writing a log."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Write nothing."""


@contextmanager
def _serving(app: Any) -> Iterator[str]:
    logging.getLogger("pets").setLevel(logging.CRITICAL)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_SilentHandler)
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Give a function that serves a WSGI app on a free port and returns its URL."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(_serving(app))


@pytest.fixture
def pets(serve: Serve, pets_module: ModuleType) -> Callable[..., str]:
    """Give a function that serves pets with a fault and returns the URL."""
    return lambda fault="": serve(pets_module.Pets(fault).build_app())


@pytest.fixture(scope="session")
def _loaded_engine(pets_module: ModuleType) -> None:
    """Load all that the engine loads late: a run inside this process would load it a second time, as other classes."""
    with _serving(pets_module.Pets("").build_app()) as url:
        suite = make_suite(url)
        for operation in suite.api.operations:
            for group in GROUPS:
                group.check(suite, operation)


def make_suite(
    url: str,
    *,
    seed: int = 0,
    max_examples: int = 8,
    auth: str | None = "Bearer good-token",
    document: str = "pets.yaml",
) -> Suite:
    """Return the suite of a document of ``services`` against the service at *url*."""
    api = load_spec(SERVICES / document)
    generator = Generator(api, url, seed=seed, max_examples=max_examples)
    credentials = Credentials("Authorization", auth, "It is a constant") if auth else None
    wire = Wire(generator, TargetSession(url, RequestCount(), timeout_s=1.5), (Identity(lambda: credentials),))
    return Suite(api, generator, wire, Resources(), document, run_salt=7)


@pytest.fixture
def load_suite() -> Callable[..., Suite]:
    """Give `make_suite`."""
    return make_suite


@pytest.fixture
def build_suite(pets: Callable[..., str]) -> Callable[..., Suite]:
    """Give a function that returns the suite of pets.yaml against a service with a fault; see `make_suite`."""
    return lambda fault="", **options: make_suite(pets(fault), **options)
