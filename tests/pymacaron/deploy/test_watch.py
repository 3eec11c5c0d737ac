from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest

from pymacaron.deploy.gates import Gate
from pymacaron.deploy.target import PlacementError, Target
from pymacaron.deploy.watch import Side, Watch
from pymacaron.exceptions import Finding, TargetError
from pymacaron.spec import Api, parse_spec
from pymacaron_monitoring.gate import judge
from pymacaron_monitoring.verdict import Verdict

DOCUMENT = """
openapi: 3.1.0
info: {title: Shop, version: "1"}
paths:
  /hang: {get: {operationId: hang, responses: {"200": {description: all}}}}
"""


def write_page(start_s: float, requests: int) -> str:
    labels = 'http_request_method="GET",http_route="/hang/{id}",operation_id="hang",http_response_status_code="200"'
    name = "http_server_request_duration_seconds"
    return (
        f"# TYPE {name} histogram\n"
        f'{name}_bucket{{{labels},le="+Inf"}} {requests}\n'
        f"{name}_count{{{labels}}} {requests}\n{name}_sum{{{labels}}} 1.0\n"
        f'process_start_time_seconds{{worker="0"}} {start_s}\n'
    )


@dataclass
class Pages:
    """A target that has nothing but metrics. find_page: version -> its page. ill: what `check` raises."""

    find_page: Callable[[str], str] = field(default=lambda version: f"page of {version}")
    ill: PlacementError | None = None
    checked: list[str] = field(default_factory=list)

    def check(self, version: str) -> None:
        """Raise what is to be raised."""
        self.checked.append(version)
        if self.ill:
            raise self.ill

    def metrics(self, version: str) -> str:
        """Return the page."""
        return self.find_page(version)

    def logs(self, version: str, lines: int = 50) -> list[str]:
        """Return one line."""
        return [f"last line of {version}"][:lines]


def make_watch(target: Pages, gate: Gate | None, **changes: Any) -> Watch:
    given: dict[str, Any] = {
        "candidate": Side("two", ""),
        "baseline": None,
        "known": None,
        "apis": (),
        "report": None,
        "time_s": 0.03,
        "decision_s": 0.03,
        "looks": 2,
        "must_pass": False,
    }
    return Watch(target=cast("Target", target), gate=gate, **{**given, **changes})


def judge_nothing(*_: object, **__: Any) -> Verdict:
    return Verdict(())


@contextmanager
def serving(handle: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Serve GET requests on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            handle(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("baseline", "compared", "known"),
    [
        pytest.param(None, None, "page of one", id="all traffic at the candidate"),
        pytest.param(Side("one", ""), ("page of one", "page of one"), None, id="shared"),
    ],
)
def test_the_release_before_is_asked_for_its_errors(
    baseline: Side | None, compared: tuple[str, str] | None, known: str | None
) -> None:
    """The gate gets both its pages while it has traffic, and its last one as what is known once it has none."""
    asked: list[dict[str, Any]] = []

    def judge_asked(report: object, **options: Any) -> Verdict:
        asked.append({"report": report, **options})
        return Verdict(())

    target = Pages()
    make_watch(target, Gate([judge_asked]), baseline=baseline, known="one").run()
    assert asked
    assert [(one["baseline"], one["known"]) for one in asked] == [(compared, known)] * len(asked)
    assert [one["candidate"] for one in asked] == [("page of two", "page of two")] * len(asked)
    assert set(target.checked) == {"two"}, "what the running release went through before is no matter"


def test_a_restart_between_two_polls_ends_the_watch() -> None:
    """Though with all traffic an undecided gate goes on: it counts from zero again, and started later."""
    counts = itertools.chain([(100.0, 500)] * 3, [(100.0, 520), (109.5, 20)], itertools.repeat((109.5, 900)))
    target = Pages(lambda _: write_page(*next(counts)))
    with pytest.raises(PlacementError, match=r"two: it was started again while it had traffic. Read its log") as caught:
        make_watch(target, Gate([judge]), time_s=3).run()
    assert caught.value.lines == ("last line of two",)


def test_a_prometheus_is_named_to_the_gate() -> None:
    """With the labels of each release, and since when it is to count."""
    asked: list[dict[str, Any]] = []

    def judge_asked(_: object, **options: Any) -> Verdict:
        asked.append(options["prometheus"])
        return Verdict(())

    began_s = time.time()
    server = {"prometheus": "http://prometheus:9090", "select": 'job="shop",version="{version}"'}
    make_watch(Pages(), Gate([judge_asked]), baseline=Side("one", ""), **server).run()
    assert began_s <= asked[0].pop("since_s") <= time.time()
    assert asked[0] == {
        "url": "http://prometheus:9090",
        "select": 'job="shop",version="two"',
        "baseline": 'job="shop",version="one"',
    }


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([(100.0, 500), (109.5, 520)], id="a worker was replaced"),
        pytest.param([(100.0, 500), (100.0, 20)], id="of several instances one went away"),
    ],
)
def test_what_is_no_restart_goes_on(pages: list[tuple[float, int]]) -> None:
    """Either sign alone has other causes."""
    counts = itertools.chain(pages[:1], itertools.repeat(pages[1]))
    target = Pages(lambda _: write_page(*next(counts)))
    assert make_watch(target, Gate([judge_nothing])).run().outcome == "undecided"


def test_what_the_target_knows_ends_the_watch() -> None:
    """A pod that crashes again and again, or a container that was started again, need not show on any page."""
    ill = PlacementError(Finding("two", "it ended", "Read its log"), ["told to crash"])
    with pytest.raises(PlacementError, match="two: it ended"):
        make_watch(Pages(ill=ill), Gate([judge_nothing])).run()


def fail_to_count(version: str) -> str:
    raise TargetError(Finding(version, "it has no metrics", "Install pymacaron_monitoring"))


@pytest.mark.parametrize(("status", "is_good"), [(404, True), (500, False)])
def test_without_a_gate_it_only_has_to_answer(status: int, is_good: bool) -> None:
    """No metrics are needed, as where monitoring is not installed; /ping must be answered below 500."""
    target = Pages(fail_to_count)
    with serving(lambda handler: handler.send_error(status)) as url:
        watch = make_watch(target, None, candidate=Side("two", url))
        if is_good:
            assert watch.run().outcome == "pass"
        else:
            with pytest.raises(TargetError, match=r"two: GET /ping: status 500. Read its log"):
                watch.run()
    assert target.checked


def test_probes_end_when_the_gate_looks_again() -> None:
    """A release that answers none of two hundred probes is not watched longer for it, nor probed after that."""
    ended = threading.Event()
    hanging = 0

    def hang(_: BaseHTTPRequestHandler) -> None:
        nonlocal hanging
        hanging += 1
        ended.wait(60)

    apis: tuple[Api, ...] = (parse_spec(DOCUMENT, source="apis/shop.yaml", name="shop"),)
    with serving(hang) as url:
        started_s = time.monotonic()
        options = {"candidate": Side("two", url), "apis": apis, "decision_s": 4, "must_pass": True}
        verdict = make_watch(Pages(), Gate([judge_nothing]), **options).run()
        took_s = time.monotonic() - started_s
        seen = hanging
        ended.set()
    assert verdict.outcome == "undecided"
    assert 1 <= seen <= 5
    assert took_s < 30, "two hundred times ten seconds"
