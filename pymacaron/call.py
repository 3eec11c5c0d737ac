"""One request to one operation as its parts see it, and the answer of the common path."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from flask import Response, request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIEnvironment
    from flask import Request


class Call(Protocol):
    """One request to one operation.

    What Flask makes of a request costs more than most handlers: whoever only wants a header reads ``environ``.
    """

    @property
    def environ(self) -> WSGIEnvironment:
        """What the server says of the request. Source: PEP 3333."""
        ...

    @property
    def path_values(self) -> Mapping[str, str]:
        """The decoded texts of the path: variable of the route -> text."""
        ...

    @property
    def has_request(self) -> bool:
        """Tell whether somebody has asked for the request object, and may have read the body through it."""
        ...

    @property
    def request(self) -> Request:
        """Return Flask's request object, made when it is first asked for."""
        ...


class RoutedCall:
    """A call that came Flask's ordinary way: its request object is there already."""

    __slots__ = ("environ", "path_values", "request")
    has_request = True

    def __init__(self, request: Request) -> None:
        """Take the request object."""
        self.request = request
        self.environ = request.environ
        self.path_values: Mapping[str, str] = request.view_args or {}


def current_call() -> RoutedCall:
    """Return the call of the request that Flask is handling. Raises RuntimeError outside of one."""
    return RoutedCall(request._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 - public in Werkzeug's docs


class PlainAnswer(NamedTuple):
    """An answer that needs no response object: status, Content-Type and bytes.

    content_type: ``""`` where there is none, in answers that have no body by their status.
    """

    status: int
    content_type: str
    body: bytes

    def to_response(self) -> Response:
        """Return the same answer as a response of Flask."""
        response = Response(self.body, self.status, content_type=self.content_type or None)
        if not self.content_type:
            del response.headers["Content-Type"]
        return response
