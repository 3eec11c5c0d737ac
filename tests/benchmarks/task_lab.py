"""Brokers, a service with tasks, and its workers, each a process: for the tests of tasks and their benchmarks."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import boto3

ROOT = Path(__file__).parents[2]
START_S = 180.0
_EPMD_END_S = 10.0
CONFIG = """\
name: shop
jwt_secret: 0123456789abcdef0123456789abcdef
jwt_issuer: shop.test
jwt_audience: shop
"""
DOCUMENT = """\
openapi: 3.1.0
info: {title: Shop, version: "1"}
paths:
  /orders:
    post:
      operationId: create_order
      security: [{token: []}, {}]
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}}
      responses:
        "202": {description: queued, content: {application/json: {schema: {$ref: "#/components/schemas/Queued"}}}}
        default: {description: error}
components:
  securitySchemes:
    token: {type: http, scheme: bearer}
  schemas:
    Order:
      type: object
      required: [name]
      properties:
        name: {type: string}
        count: {type: integer, default: 1}
    Queued: {type: object, required: [task_id], properties: {task_id: {type: string}}}
"""
SERVER = """\
from pymacaron import create_app

app = create_app(__name__, handlers="handlers")
"""
HANDLERS = '''\
import os
import time

from flask import request

from pymacaron.auth import get_user_token, get_userid
from pymacaron.log import current_request_id
from pymacaron.tasks import asynctask, current_task


def note(*words):
    """Write a line that is whole whatever happens to this process."""
    file = os.open(os.environ["RECORD"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, (" ".join(map(str, words)) + "\\n").encode())
    os.close(file)


@asynctask()
def record(number, pause=0.0):
    time.sleep(pause)
    note(number)


@asynctask()
def hold(number, seconds):
    note(f"begin-{number}")
    time.sleep(seconds)
    note(f"end-{number}")


@asynctask(autoretry_for=(ConnectionError,), max_retries=2, retry_jitter=False)
def fail(number):
    note(f"run-{number}-{current_task().retries}")
    raise ConnectionError("nobody answers")


@asynctask(time_limit=1, soft_time_limit=0.5)
def take_for_ever(number):
    note(f"begin-{number}")
    while True:
        try:
            time.sleep(60)
        except Exception as error:
            note(f"{type(error).__name__}-{number}")


@asynctask()
def die(number):
    note(f"begin-{number}")
    if current_task().retries == 0 and not os.path.exists(os.environ["RECORD"] + ".died"):
        open(os.environ["RECORD"] + ".died", "w").close()
        os.kill(os.getpid(), 9)
    note(f"end-{number}")


@asynctask()
def kill(number, is_group=False):
    note(f"begin-{number}")
    os.killpg(0, 9) if is_group else os.kill(os.getpid(), 9)


@asynctask()
def ship(order):
    note("shipped", type(order).__name__, order.name, order.count, get_userid(), request.url, current_request_id(),
         bool(get_user_token()))
    return {"shipped": order.count}


def create_order(body):
    return {"task_id": ship.queue(body).id}, 202
'''


@dataclass
class Broker:
    """A server that keeps messages: a program that listens at *port*, and keeps what it has in *folder*.

    url: for ``broker_url``.
    """

    url: str
    port: int
    folder: Path
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it on the data that there are; return when it listens."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        log = self.folder / "server.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                env={**own, **self.environment},  # brokers are not ours to measure
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_for_port(self.port, self.process, log)

    def stop(self) -> None:
        """Kill it, if it runs."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """Kill it, and start it on the same data."""
        self.stop()
        self.start()


@dataclass
class Lab:
    """A service with tasks in *folder*. record: the file in which its tasks write lines."""

    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    lines: list[socket.socket] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def record(self) -> Path:
        """Return the file that tasks write into."""
        return self.folder / "record"

    def read(self) -> Counter[str]:
        """Return how often each line was written."""
        return Counter(self.record.read_text().splitlines()) if self.record.exists() else Counter()

    def variables(self) -> dict[str, str]:
        """Return the environment of the service's processes."""
        paths = os.pathsep.join([str(ROOT), str(ROOT / "monitoring")])
        return {**os.environ, "PYTHONPATH": paths, "RECORD": str(self.record), **self.environment}

    def start_worker(self, *options: str, concurrency: int = 1) -> subprocess.Popen[bytes]:
        """Start a worker; return when it takes tasks."""
        line, worker_end = socket.socketpair()
        log = (self.folder / f"worker-{len(self.workers)}.log").open("wb")
        worker = subprocess.Popen(
            [sys.executable, "-m", "pymacaron.worker", "--concurrency", str(concurrency), *options],
            cwd=self.folder,
            env={**self.variables(), "PYMACARON_PARENT_FD": str(worker_end.fileno())},
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[worker_end.fileno()],
            start_new_session=True,
        )
        worker_end.close()
        log.close()
        self.workers.append(worker)
        self.lines.append(line)
        told = line.recv(1)
        assert told == b"1", self.read_logs()
        return worker

    def run(self, code: str) -> str:
        """Run *code* in the service's app context, in a process of its own; return what it prints."""
        program = "from server import app\nimport handlers\nwith app.app_context():\n"
        program += "".join(f"    {line}\n" for line in code.splitlines())
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=self.folder,
            env=self.variables(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def read_logs(self) -> str:
        """Return what the workers wrote."""
        return "\n".join(file.read_text() for file in sorted(self.folder.glob("worker-*.log")))

    def wait_for(self, is_done: Callable[[Counter[str]], bool], timeout_s: float = 60.0) -> Counter[str]:
        """Wait until what was written satisfies *is_done*."""
        deadline = time.monotonic() + timeout_s
        while not is_done(self.read()):
            assert time.monotonic() < deadline, f"{self.read().most_common(5)}\n{self.read_logs()[-5000:]}"
            time.sleep(0.05)
        return self.read()

    def close(self) -> None:
        """Stop every worker, at once."""
        for worker in self.workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        for line in self.lines:
            line.close()


@contextlib.contextmanager
def open_lab(folder: Path, broker_url: str | None = None, extra: str = "") -> Iterator[Lab]:
    """Write the service into *folder*, and stop its workers at the end. No *broker_url*: the embedded broker."""
    (folder / "apis").mkdir(parents=True)
    (folder / "apis" / "shop.yaml").write_text(DOCUMENT)
    (folder / "server.py").write_text(SERVER)
    (folder / "handlers.py").write_text(HANDLERS)
    broker = f"broker_url: {broker_url}\n" if broker_url else ""
    (folder / "pym-config.yaml").write_text(CONFIG + broker + extra)
    lab = Lab(folder)
    try:
        yield lab
    finally:
        lab.close()


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        if is_open(port):
            return
        time.sleep(0.05)


@contextlib.contextmanager
def run_redis(folder: Path) -> Iterator[Broker]:
    """Run a Redis that appends each change to its file."""
    folder.mkdir(parents=True, exist_ok=True)
    port, program = find_port(), shutil.which("redis-server")
    assert program is not None
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    with _running(Broker(f"redis://127.0.0.1:{port}/0", port, folder, [*command, "--appendonly", "yes"])) as broker:
        yield broker


SQS_OPTIONS = """\
celery:
  broker_transport_options: {region: eu-west-1, is_secure: false, wait_time_seconds: 1, polling_interval: 0.1}
"""


@contextlib.contextmanager
def run_sqs(folder: Path) -> Iterator[Broker]:
    """Run a server that speaks SQS's language, as moto knows it; for services with `SQS_OPTIONS`."""
    folder.mkdir(parents=True, exist_ok=True)
    port = find_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(Broker(f"sqs://key:secret@127.0.0.1:{port}", port, folder, command)) as broker:
        # Its first answer takes seconds: it loads what it needs for it.
        session = boto3.Session("key", "secret", region_name="eu-west-1")
        session.client("sqs", endpoint_url=f"http://127.0.0.1:{port}").list_queues()
        yield broker


@contextlib.contextmanager
def run_rabbitmq(folder: Path) -> Iterator[Broker]:
    """Run a RabbitMQ of its own, with its own name service."""
    port, dist, epmd = find_port(), find_port(), find_port()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rabbitmq.conf").write_text("loopback_users = none\nlog.console.level = warning\n")
    (folder / "plugins").write_text("[].\n")
    environment = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"lab{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(dist),
        "ERL_EPMD_PORT": str(epmd),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
    }
    command = ["/usr/lib/rabbitmq/bin/rabbitmq-server"]
    try:
        broker = Broker(f"amqp://guest:guest@127.0.0.1:{port}//", port, folder, command, environment)
        with _running(broker):
            yield broker
    finally:
        _end_epmd(epmd)


@contextlib.contextmanager
def _running(broker: Broker) -> Iterator[Broker]:
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def _end_epmd(port: int) -> None:
    """End Erlang's name service. It refuses while it knows nodes, and learns of their end a little later."""
    deadline = time.monotonic() + _EPMD_END_S
    while is_open(port) and time.monotonic() < deadline:
        subprocess.run(["epmd", "-port", str(port), "-kill"], capture_output=True, check=False)
        time.sleep(0.1)


def is_open(port: int) -> bool:
    """Tell whether something listens at *port*."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
