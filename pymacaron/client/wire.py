"""One HTTP exchange as data, and the seam behind which it happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pymacaron.exceptions import Call

Content = bytes | IO[bytes] | None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call may take.

    connect_s, read_s: seconds until there is a connection, and between two pieces of the answer. total_s: seconds from
    its head to its end, of an answer that is no stream. retries: how often a call that may be repeated is repeated.
    retry_budget_s: no repetition begins later than this after the first failure.
    """

    connect_s: float = 5.0
    read_s: float = 30.0
    total_s: float = 300.0
    retries: int = 3
    retry_budget_s: float = 30.0


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What is sent. url: percent-encoded, with its query. is_repeatable: sending it twice does what once does."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: Content
    is_repeatable: bool


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What came back. headers: case does not matter. pieces: its content as it arrives; `close` lets go of it."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]
    close: Callable[[], None]

    def read(self, total_s: float) -> bytes:
        """Return the whole content, and close. Raises TimeoutError: it takes longer than *total_s* seconds."""
        deadline_s = time.monotonic() + total_s
        content = []
        try:
            for piece in self.pieces:
                content.append(piece)
                if time.monotonic() > deadline_s:
                    raise TimeoutError
        finally:
            self.close()
        return b"".join(content)


class Transport(Protocol):
    """Carries requests to a service; safe to use from several threads."""

    def send(self, request: HttpRequest, patience: Patience, call: Call) -> HttpResponse:
        """Return the answer, without following redirects; its pieces raise what this raises.

        call: named by errors. Raises: CallConnectionError, CallTimeoutError.
        """
        ...
