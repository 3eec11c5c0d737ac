from __future__ import annotations

import itertools
import re
import time

import pytest

from pymacaron.deploy.instances import Instances
from pymacaron.deploy.page_sums import find_starts


def write_page(start_s: float, requests: int, *, workers: int = 1) -> str:
    return (
        "# TYPE http_server_request_duration_seconds histogram\n"
        f'http_server_request_duration_seconds_count{{http_route="/pets/{{id}}"}} {requests}\n'
        f'process_start_time_seconds{{worker="0"}} {start_s}\n'
        f"worker_starts_total {workers}\nworker_processes 1\n"
    )


def count(page: str) -> float:
    return sum(map(float, re.findall(r"_count\S* (\S+)", page)))


def note(instances: Instances, *pages: str) -> float:
    for page in pages:
        instances.note(find_starts(page), page)
    return count(instances.sum())


def test_what_was_counted_stays_counted() -> None:
    """An instance that goes, and one that comes, are the difference that they made."""
    now_s = time.time()
    instances = Instances()
    before = note(instances, write_page(now_s - 60, 100), write_page(now_s - 50, 900))
    after = note(instances, write_page(now_s - 60, 130), write_page(now_s + 60, 7))
    assert (before, after - before) == (1000, 37)
    assert note(instances, write_page(now_s - 50, 901)) - before == 38


def test_one_that_was_there_and_met_late_counts_from_then_on() -> None:
    """Its history is not what happened in between."""
    now_s = time.time()
    instances = Instances()
    before = note(instances, write_page(now_s - 60, 100))
    assert note(instances, write_page(now_s - 50, 900)) == before
    assert note(instances, write_page(now_s - 50, 905)) == before + 5


def test_an_instance_whose_processes_were_replaced_is_the_same() -> None:
    """It goes on with the counts of those before, and says how many there were."""
    now_s = time.time()
    instances = Instances()
    before = note(instances, write_page(now_s - 60, 100))
    assert note(instances, write_page(now_s + 60, 120, workers=2)) == before + 20
    other = write_page(now_s + 70, 900, workers=3)
    assert note(instances, write_page(now_s + 60, 120, workers=2), other) == before + 920


@pytest.mark.parametrize("number", [1, 2, 5])
def test_all_instances_are_asked(number: int) -> None:
    """Whoever takes a request, it goes on until nobody new answers."""
    now_s = time.time()
    pages = itertools.cycle(write_page(now_s - 60 - index, 10) for index in range(number))
    assert count(Instances().ask(lambda: next(pages))) == 10 * number


def test_where_it_is_known_how_many_there_are_nobody_asks_longer() -> None:
    """One question for one instance, whatever is on its page."""
    pages = iter(["requests_total 1\n"])
    assert Instances().ask(lambda: next(pages), 1) == "requests_total 1\n"
    with pytest.raises(ValueError, match="no process_start_time_seconds to tell its instances apart by"):
        Instances().ask(lambda: "requests_total 1\n")
