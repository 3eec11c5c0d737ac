"""A connection to PostgreSQL that does not wait longer than it may, whatever the server or the network does."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg


class PatientConnection(psycopg.Connection[Any]):
    """A connection on which nothing takes longer than ``timeout_s``: it is closed then.

    The server's own limits end a slow statement; this one is for a server that does not answer at all.
    """

    timeout_s: float | None = None

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        """Wait as the parent does, with an end."""
        if self.timeout_s is None:
            return super().wait(gen, *args, **kwargs)
        # Half a second more, so that the server's own limit, which tells the reason, comes first.
        return super().wait(self._watch(gen, time.monotonic() + self.timeout_s + 0.5), *args, **kwargs)

    def _watch(self, gen: Generator[Any, Any, Any], end_s: float) -> Generator[Any, Any, Any]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > end_s:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server did not answer in time")
                wanted = gen.send(ready)
        except StopIteration as stop:
            return stop.value
