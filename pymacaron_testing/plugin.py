"""The pytest plugin: options, fixtures, and the switch that makes the rest load.

Every pytest run of the environment imports this module. It stays light: all else is imported when a run is active,
that is with --pymacaron, --pymacaron-target, --pymacaron-spec or ``pymacaron = true``, also as lines of pytest.ini, or
when a test asks for one of the fixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from pymacaron_testing import hooks
from pymacaron_testing.options import add_options, is_given

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

    from pymacaron_testing.callers import Caller, Callers, CheckedSession, Operations
    from pymacaron_testing.run import Run
    from pymacaron_testing.target import Target
    from pymacaron_testing.tasks import QueuedTasks, TaskWorker

_EXTRA = {"schemathesis", "hypothesis"}
_OK = 200
_UNCHECKED = "pymacaron_unchecked"
_RUN: pytest.StashKey[Run] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; all start with --pymacaron."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Let conftest.py say who asks."""
    pluginmanager.add_hookspecs(hooks)


def pytest_configure(config: pytest.Config) -> None:
    """Load the rest if this run asked for it."""
    config.addinivalue_line("markers", f"{_UNCHECKED}: answers that this test gets may break the API document")
    is_asked_for = config.getoption("pymacaron") or config.getini("pymacaron")
    if not is_asked_for and not is_given(config, "target") and not is_given(config, "spec"):
        return
    try:
        from pymacaron_testing.active import ActiveRun  # noqa: PLC0415 - see the module's docstring
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        pytest.exit(f"The tests need {error.name}. Run: pip install 'pymacaron[testing]'", returncode=2)

    config.pluginmanager.register(ActiveRun(_start_run(config)), "pymacaron-active")


def _start_run(config: pytest.Config) -> Run:
    """Return the run of *config*, made when first asked for."""
    from pymacaron_testing.run import start_run  # noqa: PLC0415 - see the module's docstring

    if _RUN not in config.stash:
        config.stash[_RUN] = start_run(config)
        config.add_cleanup(config.stash[_RUN].stop)
    return config.stash[_RUN]


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """Return the service under test; ``target.url`` is where it answers. Started when first needed."""
    return _start_run(request.config).require_target()


@pytest.fixture(scope="session")
def base_url(target: Target) -> str:
    """Return the target's URL, without a slash at its end."""
    return target.url


@pytest.fixture(scope="session")
def _callers(request: pytest.FixtureRequest, target: Target) -> Callers:
    """Make callers of the target, once a run."""
    del target  # makes sure that there is one
    from pymacaron_testing.callers import Callers  # noqa: PLC0415 - see the module's docstring

    return Callers(_start_run(request.config))


def _is_checked(request: pytest.FixtureRequest) -> bool:
    return request.node.get_closest_marker(_UNCHECKED) is None


@pytest.fixture
def http(request: pytest.FixtureRequest, _callers: Callers) -> Iterator[CheckedSession]:
    """Return a requests.Session without credentials: ``http.get("/pets")`` asks the target.

    Answers that break the document of the run fail the test, ``http.unchecked.get("/pets")`` excepted.
    """
    with _callers.session(is_checked=_is_checked(request)) as session:
        yield session


@pytest.fixture
def anonymous(request: pytest.FixtureRequest, _callers: Callers) -> Iterator[Caller]:
    """Return a caller without credentials: ``anonymous.api.get_pet(pet_id=3)``, ``anonymous.http.get("/pets")``."""
    caller = _callers.anonymous(is_checked=_is_checked(request))
    yield caller
    caller.close()


@pytest.fixture
def user(request: pytest.FixtureRequest, _callers: Callers) -> Iterator[Callable[..., Caller]]:
    """Return a function that gives a user of the target: ``user("alice").api.get_pet(pet_id=3)``.

    Each name is another user; without one it is the user that contract items ask as.
    """
    with ExitStack() as stack:

        def find(name: str = "") -> Caller:
            return stack.enter_context(closing(_callers.user(name, is_checked=_is_checked(request))))

        yield find


@pytest.fixture
def api(user: Callable[..., Caller]) -> Operations:
    """Return the operations of the run's documents, called as the run's user: ``api.get_pet(pet_id=3)``."""
    return user().api


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Return a function that waits: ``eventually(lambda: http.get("/jobs/1").json()["done"], timeout_s=5)``."""
    from pymacaron_testing.eventually import eventually as wait  # noqa: PLC0415 - see the module's docstring

    return wait


@pytest.fixture
def queued_tasks() -> Iterator[Callable[[Flask], QueuedTasks]]:
    """Return a function that records what an app queues, and runs nothing: ``queued_tasks(app).assert_queued(…)``."""
    from pymacaron_testing.tasks import recorded_tasks  # noqa: PLC0415 - see the module's docstring

    with ExitStack() as stack:
        yield lambda app: stack.enter_context(recorded_tasks(app))


@pytest.fixture
def task_worker(tmp_path: Path) -> Iterator[Callable[[Flask], TaskWorker]]:
    """Return a function that runs an app's tasks in a thread until the test ends: ``task_worker(app).wait_for(id)``."""
    from pymacaron_testing.tasks import running_worker  # noqa: PLC0415 - see the module's docstring

    with ExitStack() as stack:
        yield lambda app: stack.enter_context(running_worker(app, tmp_path))


@pytest.fixture
def wait_for_task(user: Callable[..., Caller], eventually: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that waits for a task of the target: ``wait_for_task(id, user_name="alice")``.

    It returns what ``/tasks/<id>`` says when the task has succeeded or failed, as a dict.
    """

    def wait(task_id: str, *, user_name: str = "", timeout_s: float = 10.0) -> Any:
        http = user(user_name).http.unchecked

        def find() -> Any:
            answer = http.get(f"/tasks/{task_id}")
            assert answer.status_code == _OK, f"/tasks/{task_id} answers {answer.status_code}"
            return answer.json() if answer.json()["state"] in {"succeeded", "failed"} else None

        return eventually(find, timeout_s)

    return wait


@pytest.fixture(scope="session")
def token(request: pytest.FixtureRequest) -> Callable[..., str]:
    """Return a function that mints JWTs with the service's configuration: ``token("alice", role="admin")``."""
    _start_run(request.config)
    from pymacaron_testing.tokens import mint_token  # noqa: PLC0415 - see the module's docstring

    return mint_token


@pytest.fixture
def auth_headers(request: pytest.FixtureRequest, target: Target) -> dict[str, str]:
    """Return the headers that identify the run's user; empty where none is known."""
    del target
    credentials = _start_run(request.config).identity.get()
    return {credentials.name: credentials.value} if credentials and not credentials.is_in_query else {}
