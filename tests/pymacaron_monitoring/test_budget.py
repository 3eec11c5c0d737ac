from __future__ import annotations

from collections.abc import Callable

from pymacaron.spec import Api
from pymacaron_monitoring.budget import Balance, balance_page
from pymacaron_monitoring.indicators import find_indicators
from pymacaron_monitoring.prometheus import read_page
from pymacaron_monitoring.slo import read_objectives

MakeApi = Callable[[str], Api]
MakePage = Callable[..., str]


def balance(api: Api, page: str) -> dict[str, Balance]:
    balances = balance_page(find_indicators(api, read_objectives(api)), read_page(page))
    return {f"{one.indicator.name} {one.subject.operation_id if one.subject else 'all'}": one for one in balances}


def test_what_is_left(read_api: MakeApi, pets_text: str, make_page: MakePage) -> None:
    """Each objective by what was counted, weighted by requests, as certain as it is."""
    page = make_page(
        listPets_200=(900, 0), getPet_200=(97, 40), getPet_500=(3, 0), deletePet_204=(10, 0), listPets_404=(100, 100)
    )
    found = balance(read_api(pets_text), page)
    assert {name: (one.requests, one.bad, one.state) for name, one in found.items()} == {
        "pets/availability all": (1100, 3, "kept"),
        "pets/availability-90 deletePet": (10, 0, "unsure"),
        "pets/p95-200ms listPets": (1000, 100, "missed"),
        "pets/p95-200ms deletePet": (10, 0, "unsure"),
        "pets/p95-300ms getPet": (100, 40, "missed"),
        "pets/p99-1.5s getPet": (100, 40, "missed"),
    }
    assert str(found["pets/p95-200ms listPets"]) == (
        "GET /pets: 95 % of requests take at most 200 ms; 100 of 1,000 bad, -100 % of the budget left"
    )
    assert str(found["pets/availability all"]) == (
        "pets, all operations together: 99 % of requests are not answered 5xx; 3 of 1,100 bad, 73 % of the budget left"
    )


def test_nothing_seen(read_api: MakeApi, pets_text: str) -> None:
    """Without requests everything is left, and nothing is shown."""
    found = balance(read_api(pets_text), "")
    assert {(one.state, one.budget_left) for one in found.values()} == {("unseen", 1.0)}


def test_a_bound_that_is_not_counted(read_api: MakeApi, pets_text: str, make_page: MakePage) -> None:
    """A service that runs with an older document has no such bucket: nothing is known."""
    page = make_page(getPet_200=(100, 0))
    found = balance(read_api(pets_text.replace("300ms", "400ms")), page)["pets/p95-400ms getPet"]
    assert (found.state, found.budget_left) == ("unseen", None)
    assert str(found) == "GET /pets/{petId}: 95 % of requests take at most 400 ms; there is no bucket at 400 ms"
