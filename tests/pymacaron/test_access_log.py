"""The line of a request is the same whether it is written through logging or past it."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from pymacaron.access_log import _find_only_handler, write_line
from pymacaron.log import ServiceHandler, setup_logging
from pymacaron.request_record import RequestRecord

MakeService = Callable[..., Flask]

WRITE = """
import logging, sys
from pymacaron.access_log import write_line
from pymacaron.log import setup_logging
from pymacaron.request_record import RequestRecord

def write(path="/pets", method="GET", user=None, **headers):
    record = RequestRecord({"REQUEST_METHOD": method, "PATH_INFO": path, "HTTP_X_REQUEST_ID": "r-1"} | headers)
    record.status, record.user_id = 404, user
    record.enter()
    write_line(record, 0.0123456)
    record.leave()
"""
BOTH_WAYS = f"""{WRITE}
for log_format in ("json", "text"):
    setup_logging(log_format=log_format)
    logging.getLogger("svc").warning("before")
    for more in {{}}, {{"handler": logging.NullHandler()}}:
        if more:
            logging.root.addHandler(more["handler"])
        write()
        write(user='al"ice')
        write("/a b/c\\\\d\\"e/caf\\xe9")
        write("/x\\n2026-01-01 INFO forged", method="G\\x1b[31m")
        write("/" + 5000 * "x")
        write("/traced", HTTP_TRACEPARENT=f"00-{{32 * 'a'}}-{{16 * 'b'}}-01")
        write(method="POST")
    logging.root.removeHandler(more["handler"])
    logging.getLogger("svc").warning("after")
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True)
    return done.stderr


def test_lines_are_those_of_logging() -> None:
    """Whatever stands in them, in JSON and in text, among the other lines."""
    lines = [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", "NOW", line) for line in run(BOTH_WAYS).splitlines()]
    assert len(lines) == 32
    for first, kind in ((0, "json"), (16, "text")):
        before, *both, after = lines[first : first + 16]
        assert both[:7] == both[7:], kind
        assert ("before" in before, "after" in after) == (True, True)
    assert json.loads(lines[6])["trace_id"] == 32 * "a"
    assert json.loads(lines[7])["message"] == "POST /pets 404 12.3 ms"
    assert json.loads(lines[3])["message"] == 'GET /a b/c\\d"e/caf\xe9 404 12.3 ms'
    assert json.loads(lines[2]) == {
        "time": "NOW",
        "level": "INFO",
        "logger": "pymacaron.access",
        "message": "GET /pets 404 12.3 ms",
        "request_id": "r-1",
        "user_id": 'al"ice',
        "status": 404,
    }
    assert lines[17] == "NOW INFO    pymacaron.access: GET /pets 404 12.3 ms [r-1]"
    assert lines[20] == r"NOW INFO    pymacaron.access: G\x1b[31m /x\n2026-01-01 INFO forged 404 12.3 ms [r-1]"


FOUR = f"""{WRITE}
import os, signal
setup_logging(log_format="json")
for number in range(4):
    if os.fork() == 0:
        for line in range(300):
            write(f"/{{number}}-{{line}}/" + 700 * "x")
        os.kill(os.getpid(), signal.SIGKILL)
for _ in range(4):
    os.wait()
"""


def test_lines_of_several_processes_stay_whole() -> None:
    """No line is torn, and none is lost with a process that is killed after it."""
    paths = [json.loads(line)["message"].split()[1].rstrip("x") for line in run(FOUR).splitlines()]
    assert sorted(paths) == sorted(f"/{number}-{line}/" for number in range(4) for line in range(300))


COST = f"""{WRITE}
import timeit
setup_logging(log_format="json")
record = RequestRecord({{"REQUEST_METHOD": "GET", "PATH_INFO": "/pets/12"}})
costs = []
for _ in range(2):
    costs.append(min(timeit.repeat(lambda: write_line(record, 0.001), number=500, repeat=20)))
    logging.root.addHandler(logging.NullHandler())
open(sys.argv[1], "w").write(str(costs[0] / costs[1]))
"""


def test_a_line_costs_a_third_of_what_logging_takes(tmp_path: Path) -> None:
    """It takes an eighth where nobody measures."""
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-c", COST, str(tmp_path / "ratio")]
    subprocess.run(command, env=untraced, check=True, capture_output=True)
    assert float((tmp_path / "ratio").read_text()) < 1 / 3


FULL = f"""{WRITE}
import os
setup_logging(log_format="json")
reader, writer = os.pipe()
os.dup2(writer, 2)
os.set_blocking(2, False)
logging.raiseExceptions = False
for _ in range(500):
    write()
assert os.read(reader, 1 << 20).count(b"r-1") > 100
os.close(2)
sys.stderr.close()
write()
"""


def test_a_stream_that_takes_nothing_breaks_no_request() -> None:
    """Full or closed: logging deals with it as it always does."""
    assert run(FULL) == ""


@pytest.fixture
def set_up() -> Iterator[Callable[[], ServiceHandler]]:
    """Set logging up as in production, with the service's handler only, and return that: ``set_up()``."""

    def start() -> ServiceHandler:
        root = logging.getLogger()
        root.handlers.clear()  # those of pytest
        setup_logging(log_format="json")
        assert isinstance(root.handlers[0], ServiceHandler)
        return root.handlers[0]

    yield start
    for name in ("pymacaron", "pymacaron.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.filters.clear()
        logger.propagate = True
    logging.setLogRecordFactory(logging.LogRecord)


class _OwnRecord(logging.LogRecord):
    """Stands for one with the ids of a trace."""


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _: logging.getLogger().addHandler(logging.NullHandler()), id="another handler"),
        pytest.param(lambda _: logging.getLogger("pymacaron.access").addHandler(logging.NullHandler()), id="its own"),
        pytest.param(lambda _: logging.getLogger("pymacaron").addHandler(logging.NullHandler()), id="its parent's"),
        pytest.param(lambda _: setattr(logging.getLogger("pymacaron.access"), "propagate", False), id="cut off"),
        pytest.param(lambda _: logging.getLogger("pymacaron.access").addFilter(lambda _: False), id="filter"),
        pytest.param(lambda handler: handler.addFilter(lambda _: False), id="filter of the handler"),
        pytest.param(lambda handler: handler.setFormatter(logging.Formatter()), id="formatter"),
        pytest.param(lambda handler: handler.setLevel(logging.WARNING), id="level of the handler"),
        pytest.param(lambda _: logging.setLogRecordFactory(_OwnRecord), id="factory"),
        pytest.param(lambda _: logging.getLogger().handlers.clear(), id="no handler"),
    ],
)
def test_whoever_changes_logging_gets_it(
    set_up: Callable[[], ServiceHandler], change: Callable[[ServiceHandler], object]
) -> None:
    """What a service does to its logs holds for this line too."""
    handler = set_up()
    assert _find_only_handler() is handler
    change(handler)
    assert _find_only_handler() is None


def test_loggers_that_are_patched_are_called(
    set_up: Callable[[], ServiceHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sentry, for one, listens in `Logger.callHandlers`."""
    set_up()
    monkeypatch.setattr(logging.Logger, "callHandlers", lambda *_: None)
    assert _find_only_handler() is None


def test_other_streams_get_their_lines(
    set_up: Callable[[], ServiceHandler], capsys: pytest.CaptureFixture[str]
) -> None:
    """What stands in the place of standard error gets it through logging."""
    set_up()
    record = RequestRecord({"REQUEST_METHOD": "GET"})
    write_line(record, 0.001)
    logging.getLogger().setLevel(logging.WARNING)
    write_line(record, 0.001)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "GET  500 1.0 ms"


@pytest.mark.parametrize(
    ("config", "lines"),
    [pytest.param("name: x\n", 1, id="by default"), pytest.param("name: x\naccess_log: false\n", 0, id="switched off")],
)
def test_the_line_can_be_switched_off(
    make_service: MakeService, caplog: pytest.LogCaptureFixture, config: str, lines: int
) -> None:
    """access_log in pym-config.yaml decides."""
    client = make_service(config=config).test_client()
    with caplog.at_level(logging.INFO):
        client.get("/pets/3")
    assert [record.name for record in caplog.records].count("pymacaron.access") == lines
