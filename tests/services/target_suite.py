"""What every target must do, whatever it deploys to.

A target's test module makes a `Place` and runs each of `CHECKS` on a fresh one:
``@pytest.mark.parametrize("check", CHECKS)``.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from pymacaron.codegen import generate_models
from pymacaron.deploy.target import Placed, PlacementError, Release, ShelfConflict, Target
from pymacaron.spec import parse_spec

_SERVICE = {
    "apis/marked.yaml": """
openapi: 3.1.0
info: {title: Marked, version: "1"}
paths:
  /mark:
    get:
      operationId: get_mark
      responses:
        "200": {description: The mark., content: {text/plain: {schema: {type: string}}}}
""",
    "server.py": """
import sys
from pathlib import Path

from pymacaron import create_app

MARK = Path(__file__).with_name("mark.txt").read_text()
if MARK == "crash":
    sys.exit("told to crash")


def get_mark() -> str:
    return MARK


app = create_app(__name__, handlers=__name__)
""",
    "pym-config.yaml": "name: marked\nworker_count: 1\n",
}
_START = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)


@dataclass(slots=True)
class Place:
    """Where a target is tried.

    make_target: a new object for the same place, as another process would have. make_image: text -> image by digest of
    the service that `write_marked_service` writes. call_live: the URL that clients call, where it is not ``live_url``.
    """

    make_target: Callable[[], Target]
    make_image: Callable[[str], str]
    call_live: Callable[[], str] | None = None
    target: Target = field(init=False)

    def __post_init__(self) -> None:
        """Make the target."""
        self.target = self.make_target()

    @property
    def url(self) -> str:
        """Return where clients find the service."""
        return (self.call_live or (lambda: self.target.live_url))()


def write_marked_service(folder: Path, mark: str) -> Path:
    """Write a service that answers ``GET /mark`` with *mark*; with ``crash`` it writes ``told to crash`` and ends."""
    for name, text in _SERVICE.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    api = parse_spec(_SERVICE["apis/marked.yaml"], source="apis/marked.yaml", name="marked")
    (folder / "apis" / "marked_models.py").write_text(generate_models(api))
    (folder / "mark.txt").write_text(mark)
    return folder


def make_release(place: Place, mark: str, number: int = 1) -> Release:
    """Return a release whose service answers *mark*; the higher the *number*, the later it was made."""
    created = _START + timedelta(minutes=number)
    return Release(f"{created:%Y%m%d-%H%M%S}-{mark}", place.make_image(mark), "abc1234", "", created)


def ask(url: str) -> str:
    """Return what the service at *url* was built with."""
    with requests.Session() as http:
        http.trust_env = False
        answer = http.get(f"{url}/mark", timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.text


@contextmanager
def traffic(url: str, rate_per_s: float = 50) -> Iterator[Counter[str]]:
    """Ask *url* all the time from several threads, and count the answers; what is no answer counts as ``failed``."""
    seen: Counter[str] = Counter()
    ended = threading.Event()
    threads = 4

    def go_on() -> None:
        while not ended.wait(threads / rate_per_s):
            try:
                seen[ask(url)] += 1
            except (requests.RequestException, AssertionError):
                seen["failed"] += 1

    asking = [threading.Thread(target=go_on) for _ in range(threads)]
    for one in asking:
        one.start()
    try:
        yield seen
    finally:
        ended.set()
        for one in asking:
            one.join()


def find_shares(target: Target) -> dict[str, int]:
    """Return the share of each release that is there, by the last part of its version."""
    return {placed.release.version.rsplit("-", 1)[1]: placed.share for placed in target.current()}


def check_first_release(place: Place) -> Placed:
    """The first release is staged at no traffic, gets all of it, and is what clients see."""
    assert place.target.current() == []
    release = make_release(place, "one")
    plan = place.target.plan(release)
    assert plan
    assert all(isinstance(line, str) and line for line in plan)
    assert place.target.current() == [], "a plan changes nothing"
    placed = place.target.stage(release)
    assert (placed.release, placed.share) == (release, 0)
    assert ask(placed.url) == "one"
    place.target.shift(release.version, None, 100)
    assert find_shares(place.target) == {"one": 100}
    assert ask(place.url) == "one"
    return placed


def check_second_release(place: Place) -> None:
    """The second one gets its shares step by step, goes back and forth, and no client ever misses an answer."""
    first = check_first_release(place).release.version
    second = make_release(place, "two", 2)
    with traffic(place.url) as seen:
        placed = place.target.stage(second)
        assert ask(placed.url) == "two"
        time.sleep(0.5)
        assert seen["two"] == 0, "no live request reaches what has a share of 0"
        for percent in place.target.steps:
            place.target.shift(second.version, first, percent)
            place.target.shift(second.version, first, percent)
            rest = {"one": 100 - percent, "two": percent}
            assert find_shares(place.target) == rest
        time.sleep(0.5)
        place.target.shift(first, second.version, 100)
        assert find_shares(place.target) == {"one": 100, "two": 0}
        place.target.shift(second.version, first, 100)
        place.target.retire(first)
        place.target.retire(first)
        time.sleep(0.5)
    assert find_shares(place.target) == {"two": 100}
    assert seen["failed"] == 0
    assert seen["one"]
    assert seen["two"]
    assert ask(place.url) == "two"


def check_repetition(place: Place) -> None:
    """Another process that stages the same release again finds what is there."""
    release = make_release(place, "one")
    placed = place.target.stage(release)
    again = place.make_target().stage(release)
    assert (again.release, again.url) == (placed.release, placed.url)
    assert len(place.target.current()) == 1


def check_crash_at_start(place: Place) -> None:
    """A release that ends at its start is refused with its last lines, and the one that runs goes on."""
    check_first_release(place)
    broken = make_release(place, "crash", 2)
    with pytest.raises(PlacementError) as caught:
        place.target.stage(broken)
    assert any("told to crash" in line for line in caught.value.lines), caught.value.lines
    place.target.retire(broken.version)
    assert find_shares(place.target) == {"one": 100}
    assert ask(place.url) == "one"


def check_metrics_and_logs(place: Place) -> None:
    """Metrics are those of the one release, and its log can be read."""
    placed = place.target.stage(make_release(place, "one"))
    for _ in range(3):
        ask(placed.url)
    page = place.target.metrics(placed.release.version)
    assert "http_server_request_duration_seconds_count" in page
    assert isinstance(place.target.logs(placed.release.version, 5), list)
    assert len(place.target.logs(placed.release.version, 2)) <= 2


def check_refusals(place: Place) -> None:
    """A release with traffic is not retired, one that is not there gets none."""
    first = check_first_release(place).release.version
    with pytest.raises(PlacementError):
        place.target.retire(first)
    with pytest.raises(PlacementError):
        place.target.shift("20990101-000000-none", first, 100)
    assert find_shares(place.target) == {"one": 100}
    assert ask(place.url) == "one"


def check_shelf(place: Place) -> None:
    """Two processes write the shelf: the second to change a thing is told so."""
    mine, other = place.target.shelf(), place.make_target().shelf()
    assert mine.get("lock") is None
    tag = mine.put("lock", b"mine", None)
    with pytest.raises(ShelfConflict):
        other.put("lock", b"other", None)
    assert other.get("lock") == (b"mine", tag)
    newer = other.put("lock", b"newer", tag)
    for stale in (lambda: mine.put("lock", b"mine", tag), lambda: mine.delete("lock", tag)):
        with pytest.raises(ShelfConflict):
            stale()
    mine.put("deploys/b.jsonl", b"x" * 20_000, None)
    mine.put("deploys/a.jsonl", b"", None)
    assert other.keys("deploys/") == ["deploys/a.jsonl", "deploys/b.jsonl"]
    assert mine.get("lock") == (b"newer", newer)
    mine.delete("lock", newer)
    mine.delete("lock", newer)
    assert other.get("lock") is None
    with pytest.raises(ShelfConflict):
        mine.put("lock", b"mine", newer)


CHECKS = (
    check_second_release,
    check_repetition,
    check_crash_at_start,
    check_metrics_and_logs,
    check_refusals,
    check_shelf,
)
