"""Services with planted defects: each defect can be seen, and the plugin finds defects and nothing else."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
import yaml
from planted_service import Defect, Service, find_services, load_service, run_service
from score import build_command, run_plugin, select_near
from verify import load_observations, observe

pytestmark = pytest.mark.unmeasured

KINDS = {"access", "auth", "concurrency", "crash", "latency", "leak"}
KINDS |= {"protocol", "schema", "semantics", "state", "validation"}
SERVICES = [load_service(name) for name in find_services()]
DEFECTS = [
    pytest.param(service, defect, id=f"{service.name}-{defect.id}")
    for service in SERVICES
    for defect in service.defects
]

each_service = pytest.mark.parametrize("service", [pytest.param(service, id=service.name) for service in SERVICES])


def require_programs(service: Service) -> None:
    """Skip where a program that *service* needs is not installed."""
    program = service.find_missing_program()
    if program is not None:
        reason = f"{service.name} needs {program}, which is not installed"
        (pytest.fail if os.environ.get("PYMACARON_REQUIRE_SERVICES") == "1" else pytest.skip)(reason)


class Switched:
    """A running service whose defect can be changed."""

    def __init__(self, service: Service, switch: Path) -> None:
        """Start *service*, which reads its defect in *switch*."""
        self._service, self._switch = service, switch
        self.start()

    def start(self) -> None:
        """Start it."""
        self._switch.write_text("")
        self._running = ExitStack()
        self._url = self._running.enter_context(run_service(self._service, switch=self._switch))

    def stop(self) -> None:
        """Stop it."""
        self._running.close()

    def observe(self, defect: str, *, is_planted: bool) -> object:
        """Return what is seen with *defect*, or what is seen there without it."""
        self._switch.write_text(defect if is_planted else "")
        try:
            return observe(self._service, self._url, defect)
        finally:
            self._switch.write_text("")


@pytest.fixture(scope="module")
def switched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Switched]]:
    """Give a function that returns the running service of a name, which stays until the module's tests are done."""
    folder = tmp_path_factory.mktemp("switches")
    with ExitStack() as stack:

        @cache
        def start(name: str) -> Switched:
            running = Switched(load_service(name), folder / name)
            stack.callback(running.stop)
            return running

        yield start


@pytest.mark.parametrize(("service", "defect"), DEFECTS)
def test_visible(service: Service, defect: Defect, switched: Callable[[str], Switched]) -> None:
    """With the defect something else is seen than without it, before and after."""
    require_programs(service)
    running = switched(service.name)
    clean = running.observe(defect.id, is_planted=False)
    if running.observe(defect.id, is_planted=True) == clean:  # then it acts when the service starts
        with run_service(service, defect.id) as url:
            assert observe(service, url, defect.id) != clean
    if running.observe(defect.id, is_planted=False) != clean:  # then it left things behind that are broken
        running.stop()
        running.start()
        assert running.observe(defect.id, is_planted=False) == clean


def test_enough_defects() -> None:
    """There are many, of every kind, in three stacks."""
    assert len(SERVICES) >= 3
    assert len(DEFECTS) >= 66
    assert {defect.kind for service in SERVICES for defect in service.defects} == KINDS


@each_service
def test_descriptions(service: Service) -> None:
    """Every defect has a name of its own, an operation of the document, and a function that sees it."""
    paths = yaml.safe_load(service.document.read_text())["paths"]
    operations = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    names = Counter(defect.id for defect in service.defects)
    assert not [name for name, count in names.items() if count > 1]
    assert {defect.operation for defect in service.defects} <= operations
    seen = vars(load_observations(service))
    assert not [name for name in names if not callable(seen.get(name))]


@each_service
def test_unknown_defect(service: Service) -> None:
    """A service does not start with a defect that it does not know."""
    require_programs(service)
    with pytest.raises(RuntimeError, match=rf"^{service.name} did not start: "), run_service(service, "no_such_defect"):
        pytest.fail("it started")


@each_service
def test_command(service: Service) -> None:
    """The plugin is told the target, the document and who asks."""
    command = build_command(service, "http://127.0.0.1:1", seed=3, max_time_s=30)
    assert "--pymacaron-target=http://127.0.0.1:1" in command
    assert f"--pymacaron-spec={service.document}" in command
    assert "--pymacaron-seed=3" in command
    assert f"--pymacaron-auth={service.users['alice']}" in command


def test_near() -> None:
    """Only the items of the defect's path run, as far as -k can tell."""
    service = load_service("flask")
    words = "expenses and projects and not archive and not me and not search and not tags"
    assert select_near(service, "GET /projects/{project_id}/expenses") in {words, words.replace("not archive and ", "")}


def test_score() -> None:
    """A defect is found at its operation; without it the same items raise no alarm."""
    service = load_service("flask")
    defect = service.find_defect("signature_unchecked")
    extra = ["-k", select_near(service, defect.operation), "--pymacaron-max-examples=4"]
    planted = run_plugin(service, defect, extra=extra)
    assert (planted.is_found, planted.is_here, planted.broken) == (True, True, "")
    clean = run_plugin(service, None, extra=extra)
    assert (clean.failures, clean.broken) == ((), "")
