"""The same requests to two real services by turns."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from flask import Flask

from pymacaron_testing.rounds import ROUNDS, Rounds, Twin, send_rounds

Serve = Callable[[Any], str]


class Pair:
    """A candidate and a running release; each writes down who was asked for what."""

    def __init__(self, serve: Serve) -> None:
        """Serve both."""
        self.asked: list[tuple[str, str]] = []
        self.delays = {"candidate": 0.0, "running": 0.0}
        self.statuses: dict[str, Iterator[int]] = {"candidate": itertools.repeat(200), "running": itertools.repeat(200)}
        self.urls = (self._open(serve, "candidate"), self._open(serve, "running"))

    def _open(self, serve: Serve, name: str) -> str:
        app = Flask(name)

        @app.get("/<path:path>")
        def answer(path: str) -> Any:
            self.asked.append((name, path))
            time.sleep(self.delays[name])
            return "", next(self.statuses[name])

        return serve(app)

    def send(self, count: int, paths: tuple[str, ...] = ("a",), **options: Any) -> Rounds:
        """Send rounds of requests for *paths*."""
        twins = [Twin(*(requests.Request("GET", f"{url}/{path}").prepare() for url in self.urls)) for path in paths]
        return send_rounds(twins, self.urls, count=count, **{"may_go_on": lambda: True, **options})


@pytest.fixture
def pair(serve: Serve) -> Pair:
    """Serve two releases."""
    return Pair(serve)


def test_requests_go_to_both_by_turns(pair: Pair) -> None:
    """Each release gets each request as often, in changing order, so that nothing else makes a difference."""
    rounds = pair.send(60, ("a", "b"))
    assert [len(one) for one in rounds.candidate] == [len(one) for one in rounds.baseline] == [3] * ROUNDS
    of_round = 4 + 2 * 3  # four that warm up
    asked = [one for number, one in enumerate(pair.asked) if number % of_round >= 4]
    turns = [asked[number : number + 2] for number in range(0, len(asked), 2)]
    assert all({name for name, _ in turn} == {"candidate", "running"} and turn[0][1] == turn[1][1] for turn in turns)
    assert 15 < sum(turn[0][0] == "candidate" for turn in turns) < 45
    assert [turn[0][1] for turn in turns] == ["a", "b"] * 30
    assert len(rounds.pairs) == 60


def test_times_and_failures_are_told_apart(pair: Pair) -> None:
    """Only what succeeds is timed; the rest is counted."""
    pair.delays["candidate"] = 0.02
    pair.statuses["candidate"] = itertools.cycle([200, 200, 503])
    rounds = pair.send(60)
    assert 18 <= rounds.candidate_errors <= 22
    assert rounds.baseline_errors == 0
    assert sum(map(len, rounds.candidate)) + rounds.candidate_errors == 60
    assert min(itertools.chain.from_iterable(rounds.candidate)) >= 0.02
    assert rounds.to_dict()["candidate_errors"] == rounds.candidate_errors
    assert all(len(times) == 3 for times in rounds.baseline)


def test_slow_operations_get_fewer_requests(pair: Pair) -> None:
    """Each round has one at least."""
    pair.delays = {"candidate": 0.02, "running": 0.02}
    rounds = pair.send(300, max_time_s=0.5)
    assert [len(one) for one in rounds.candidate] == [1] * ROUNDS


def test_rounds_end_with_the_time(pair: Pair) -> None:
    """A round that is not whole is left out."""
    left = iter([True] * 10 + [False])
    rounds = pair.send(60, may_go_on=lambda: next(left))
    assert [len(one) for one in rounds.candidate] == [3, 3, 3]
