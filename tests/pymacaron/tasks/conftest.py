"""Brokers for the tests of tasks, started once for all of them, and services that use them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from task_lab import Broker, Lab, open_lab, run_rabbitmq, run_redis, run_sqs

MakeLab = Callable[..., Lab]


def _demand(program: str) -> None:
    if shutil.which(program) is None:
        reason = f"{program} is not installed"
        (pytest.fail if os.environ.get("PYMACARON_REQUIRE_SERVICES") == "1" else pytest.skip)(reason)


@pytest.fixture(scope="session")
def redis_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run a Redis for all tests; each service has a queue of its own there."""
    _demand("redis-server")
    with run_redis(tmp_path_factory.mktemp("redis")) as broker:
        yield broker


@pytest.fixture(scope="session")
def rabbitmq_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run a RabbitMQ for all tests."""
    _demand("rabbitmq-server")
    with run_rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as broker:
        yield broker


@pytest.fixture(scope="session")
def sqs_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run an SQS for all tests."""
    with run_sqs(tmp_path_factory.mktemp("sqs")) as broker:
        yield broker


@pytest.fixture(params=["embedded", "redis", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest) -> str | None:
    """Return the address of each kind of broker in turn, None for the embedded one."""
    if request.param == "embedded":
        return None
    broker: Broker = request.getfixturevalue(f"{request.param}_broker")
    return broker.url


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[MakeLab]:
    """Build services with tasks: ``make_lab(broker_url, extra)``, with more lines of configuration in *extra*."""
    with ExitStack() as stack:

        def make(broker_url: str | None = None, extra: str = "") -> Lab:
            name = f"s{uuid4().hex[:12]}"
            return stack.enter_context(open_lab(tmp_path / name, broker_url, f"task_queue: {name}\n{extra}"))

        yield make
