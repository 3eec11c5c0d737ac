"""Adds up /metrics of a release's instances while they come and go."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from pymacaron.deploy.page_sums import find_starts, is_continued, subtract_page, sum_pages

_CALM, _CALM_EACH = 4, 3  # answers without a new instance, together and for each that is known, until all are


@dataclass(slots=True)
class _Instance:
    """marks: what only it has. page: the last one seen. before: the one from which on it counts, "" from its start.

    is_seen: since the last sum.
    """

    marks: frozenset[str]
    page: str
    before: str = ""
    is_seen: bool = True


class Instances:
    """The instances of one release, as far as they were seen.

    What was counted stays counted: an instance that has gone keeps its last page, so that the sums of two moments can
    be subtracted. One that was there at the first moment and was met only later counts from then on: what it did
    earlier did not happen in between.
    """

    def __init__(self) -> None:
        """Know none."""
        self._known: list[_Instance] = []
        self._summed_s: float | None = None

    def ask(self, fetch: Callable[[], str], most: int = 0) -> str:
        """Return the sum of all pages, after asking for one again and again until no new instance answers for a while.

        fetch: asks whichever instance takes the request. most: so many there are, 0 if nobody knows.
        Raises: ValueError: pages do not tell their instances, and there may be several.
        """
        seen: set[frozenset[str]] = set()
        left = 1
        while left and (not most or len(seen) < most):
            page = fetch()
            starts = find_starts(page)
            if not starts and most != 1:
                raise ValueError("it has no process_start_time_seconds to tell its instances apart by")
            self.note(starts or frozenset({""}), page)
            left = left - 1 if starts in seen else _CALM + _CALM_EACH * (len(seen) + 1)
            seen.add(starts)
        return self.sum()

    def note(self, marks: frozenset[str], page: str) -> None:
        """Take a *page* of the instance that has any of *marks*: its name, or the starts of its processes.

        One whose processes were all replaced by others since is known by its counts.
        """
        known = next((one for one in self._known if one.marks & marks), None)
        if known is None and marks <= find_starts(page):
            missed = (one for one in self._known if not one.is_seen)
            known = next((one for one in missed if is_continued(one.page, page)), None)
        if known is not None:
            known.marks, known.page, known.is_seen = marks, page, True
            return
        newest_s = max(map(float, find_starts(page)), default=None)
        is_late = self._summed_s is not None and newest_s is not None and newest_s < self._summed_s
        self._known.append(_Instance(marks, page, page if is_late else ""))

    def sum(self) -> str:
        """Return the sum of all pages. At least one was noted."""
        self._summed_s = time.time()
        for one in self._known:
            one.is_seen = False
        pages = [subtract_page(one.page, one.before) if one.before else one.page for one in self._known]
        return pages[0] if len(pages) == 1 else sum_pages(pages)
