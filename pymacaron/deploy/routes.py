"""Which releases get how much of the traffic: the file that the proxy goes by, and its exact choice by shares."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import gcd
from pathlib import Path

from pymacaron.deploy.atomic_file import write_atomically

ROUTES_FILE = "routes.json"
_ALL = 100


@dataclass(frozen=True, slots=True)
class Route:
    """Where one release answers. share: percent of the requests, 0 to 100."""

    version: str
    host: str
    port: int
    share: int


@dataclass(frozen=True, slots=True)
class Routes:
    """All routes of a service. tag: grows with every change, so that one sees whether the proxy knows it already."""

    tag: int
    routes: tuple[Route, ...]

    def get_share(self, version: str) -> int:
        """Return the share of that version, 0 if it has no route."""
        return next((route.share for route in self.routes if route.version == version), 0)


def read_routes(folder: Path) -> Routes:
    """Return what the file in *folder* says; no routes if there is none."""
    try:
        data = json.loads((folder / ROUTES_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Routes(0, ())
    return Routes(int(data["tag"]), tuple(Route(**route) for route in data["routes"]))


def write_routes(folder: Path, routes: Sequence[Route]) -> Routes:
    """Replace the routes, unless they are the same already, and return them."""
    before = read_routes(folder)
    if before.routes == tuple(routes):
        return before
    after = Routes(before.tag + 1, tuple(routes))
    text = json.dumps({"tag": after.tag, "routes": [asdict(route) for route in after.routes]})
    write_atomically(folder / ROUTES_FILE, text.encode())
    return after


class Deck:
    """Deals routes so that shares are exact: of each hundred requests, or fewer, each route gets just its share.

    Their order within that is random, so that a client that repeats itself does not always meet the same release.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        """Take the *routes*; those without a share are never dealt."""
        shared = [route for route in routes if route.share > 0]
        unit = gcd(*(route.share for route in shared)) if shared else _ALL
        self._cards = [route for route in shared for _ in range(route.share // unit)]
        self._left: list[Route] = []

    def deal(self) -> Route | None:
        """Return the route of the next request, None if there is none."""
        if not self._left:
            self._left = random.sample(self._cards, len(self._cards))
        return self._left.pop() if self._left else None
