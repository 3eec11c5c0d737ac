"""Finds out that the target sends everybody somewhere else, to a login page say, whatever they ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import requests

from pymacaron.exceptions import Finding, TargetError

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation

_ASKED = 4
_ENOUGH = 2
_REDIRECTS = range(300, 400)


def check_detour(api: Api, url: str, ask: Callable[[Operation], requests.Response]) -> None:
    """Raise TargetError if GETs of different paths are all redirected to one place, or to another host.

    url: of the target. ask: sends a GET as the run's user. A redirect that the document declares is none of these.
    """
    plain = [one for one in api.operations if one.method.upper() == "GET"]
    places: set[str] = set()
    asked = 0
    for operation in plain[:_ASKED]:
        try:
            response = ask(operation)
        except requests.RequestException:
            return
        location = response.headers.get("Location", "")
        if response.status_code not in _REDIRECTS or not location or operation.find_response(response.status_code):
            return
        there = urlsplit(urljoin(str(response.url), location))
        is_same_path = there.path.rstrip("/") == urlsplit(str(response.url)).path.rstrip("/")
        places.add(
            f"{there.scheme}://{there.netloc}" if is_same_path else there._replace(query="", fragment="").geturl()
        )
        asked += 1
    if asked < _ENOUGH or len(places) != 1:
        return
    place = places.pop()
    is_other = not urlsplit(place).path
    fix = f"Write --pymacaron-target={place}" if is_other else "Say who asks: --pymacaron-auth 'Header: value'"
    raise TargetError(Finding(url, f"it redirects everything to {place}", fix))
