"""A task is a function with options that are checked when it is declared, and arguments that are when it is called."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from pymacaron import asynctask
from pymacaron.exceptions import ConfigError, TaskArgumentError
from pymacaron.tasks import TASKS


@pytest.fixture(autouse=True)
def _forget_tasks() -> Iterator[None]:
    """Leave no declared task to other tests."""
    known = dict(TASKS)
    yield
    TASKS.clear()
    TASKS.update(known)


def add(first: int, second: int = 2) -> int:
    """Add two numbers."""
    return first + second


def test_outside_of_a_request_it_is_a_call() -> None:
    """The function runs at once and returns what it returns; it keeps its name and docstring."""
    task = asynctask()(add)
    assert task(1, second=5) == 6
    assert (vars(task)["__name__"], task.__doc__, repr(task)) == ("add", "Add two numbers.", f"<task {__name__}.add>")
    assert TASKS[f"{__name__}.add"] is task


def note() -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dely": 3}, r"add: a task has no option dely\. Choose among acks_late, autoretry_for, delay"),
        ({"delay": "soon"}, r"add: 'soon' is no interval\. Write seconds, or \"90s\""),
        ({"delay": -1}, r"add: -1 is no interval"),
        ({"every": "5m", "crontab": "0 4 * * *"}, r"add: every and crontab are both given\. Keep one"),
        ({"every": 0.5}, r"add: every is 0\.5 s\. Leave at least a second"),
        ({"crontab": "0 4 * *"}, r"add: '0 4 \* \*' is no crontab: it has 4 fields\. Write minute"),
        ({"crontab": "99 4 * * *"}, r"add: '99 4 \* \* \*' is no crontab"),
        ({"every": "5m"}, r"add: it is queued by itself, and needs arguments\. Give every argument a default"),
        ({"time_limit": 5, "soft_time_limit": 5}, r"add: soft_time_limit 5 is not below time_limit 5\. Leave"),
        ({"time_limit": "1m", "soft_time_limit": 90}, r"add: soft_time_limit 90 is not below time_limit 60"),
        ({"retry_backoff": "soon"}, r"add: retry_backoff: 'soon' is no interval"),
        ({"retry_backoff_max": -1}, r"add: retry_backoff_max: -1 is no interval"),
        ({"max_retries": "3"}, r"add: max_retries: '3' is no number of repetitions\. Write a whole number, or None"),
        ({"autoretry_for": "OSError"}, r"add: autoretry_for: not all of it are exceptions\. Write classes"),
    ],
    ids=str,
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    """A declaration that cannot work stops the start, with the task's name and what to do."""
    with pytest.raises(ConfigError, match=message):
        asynctask(**options)(add)


async def wait() -> None:
    """Only begin when it is called."""


async def wait_often() -> AsyncIterator[int]:
    """Only begin when it is called."""
    yield 1


def count() -> Iterator[int]:
    """Only begin when it is called."""
    yield 1


@pytest.mark.parametrize("function", [wait, wait_often, count])
def test_tasks_are_plain_functions(function: Callable[..., Any]) -> None:
    """What a call would only begin is refused where it is declared: a worker awaits nothing."""
    message = r"it is async def, or a generator, and a worker calls plain functions\. Write a plain def, with asyncio"
    with pytest.raises(ConfigError, match=message):
        asynctask()(function)


def test_options_are_read_once() -> None:
    """Times may be texts, one exception may stand alone, True is Celery's word for one second."""
    task = asynctask(
        autoretry_for=OSError, retry_backoff=True, retry_backoff_max="5m", time_limit="1m", max_retries=None
    )(add)
    options = task.options.celery
    assert {name: options[name] for name in ("autoretry_for", "retry_backoff", "retry_backoff_max", "max_retries")} == {
        "autoretry_for": (OSError,),
        "retry_backoff": 1,
        "retry_backoff_max": 300,
        "max_retries": None,
    }
    assert task.options.find_limits(task.name, 600) == (60, 54)


def test_a_soft_limit_alone_is_held_to_the_limit_of_the_service() -> None:
    """A task that names only the soft one would be killed before it: that is told when the service starts."""
    task = asynctask(soft_time_limit=900)(add)
    assert task.options.find_limits(task.name, 1000) == (1000, 900)
    with pytest.raises(ConfigError, match=r"add: soft_time_limit 900 is not below time_limit 600\. Leave"):
        task.options.find_limits(task.name, 600)


def test_a_name_belongs_to_one_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second function of the same name would run in place of the first; the same one may be loaded again."""
    module = ModuleType("main_of_it")
    module.__file__ = __file__
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for name in (__name__, __name__, module.__name__):
        monkeypatch.setattr(add, "__module__", name)
        asynctask(name="work")(add)
    message = r"work: .*\.add and .*\.note are both tasks of this name\. Give one of them another name"
    with pytest.raises(ConfigError, match=message):
        asynctask(name="work")(note)


def test_forgotten_parentheses_are_told() -> None:
    """``@asynctask`` alone would make the function its delay."""
    with pytest.raises(ConfigError, match=r"add: @asynctask stands there without parentheses\. Write @asynctask\(\)"):
        asynctask(add)  # type: ignore[arg-type]


def test_calls_that_do_not_fit_are_refused() -> None:
    """The signature is looked at where the task is called."""
    task = asynctask()(add)
    with pytest.raises(TaskArgumentError, match=r"missing a required argument: 'first'\. Call it as add\(first: "):
        task.pack((), {})
    with pytest.raises(TaskArgumentError, match=r"add: argument second is a object, which a task cannot be given"):
        task.pack((1,), {"second": object()})


def test_packed_arguments_come_back() -> None:
    """What was packed is unpacked as it was given, and by name with the defaults."""
    task = asynctask(idempotency_key=lambda first, second=2: f"{first}/{second}")(add)
    packed = task.pack((1,), {})
    assert packed["key"] == "1/2"
    assert task.unpack(packed) == ([1], {})
    assert task.name_arguments(packed) == {"first": 1, "second": 2}


def test_options_of_one_call_leave_the_task_alone() -> None:
    """`with_options` gives the same task with other options; options that a worker decides on cannot be changed so."""
    task = asynctask(queue="slow")(add)
    other = task.with_options(delay="2m", queue="fast")
    assert (other.name, other.options.delay_s, other.options.celery["queue"]) == (task.name, 120, "fast")
    assert (task.options.delay_s, task.options.celery["queue"]) == (0, "slow")
    with pytest.raises(ConfigError, match="a task has no option max_retries"):
        task.with_options(max_retries=1)
