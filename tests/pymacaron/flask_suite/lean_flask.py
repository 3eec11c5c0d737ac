"""Flask with the lean way in front, for every rule that Flask would match; what is left of Flask is its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from flask import Flask
from werkzeug.exceptions import HTTPException

from pymacaron.dispatch import LeanContext, LeanDispatch, LeanRoute
from pymacaron.dispatch.lean import can_be_lean
from pymacaron.events import Bus
from pymacaron.request_events import RequestWatch

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class LeanFlask(Flask):
    """An app whose requests go the lean way, as operations do.

    requests, lean_requests: name of the test module's app -> number of WSGI requests, and of those that went that way.
    """

    requests: ClassVar[Counter[str]] = Counter()
    lean_requests: ClassVar[Counter[str]] = Counter()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take what Flask takes."""
        super().__init__(*arguments, **options)
        self.wsgi_app = _AnyRoute(self, RequestWatch(Bus()), self.wsgi_app)  # type: ignore[method-assign]


class _AnyRoute(LeanDispatch):
    """Finds what Flask would find, in place of operations."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        LeanFlask.requests[self._app.name] += 1
        return super().__call__(environ, start_response)

    def find(self, environ: WSGIEnvironment) -> tuple[LeanRoute, dict[str, Any]] | None:
        app = self._app
        if not can_be_lean(app):
            return None
        try:
            adapter = app.create_url_adapter(app.request_class(environ))
            assert adapter is not None
            rule, values = adapter.match(return_rule=True)
        except HTTPException:
            return None
        if environ["REQUEST_METHOD"] == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
            return None
        LeanFlask.lean_requests[app.name] += 1

        def handle(context: LeanContext) -> object:
            return app.ensure_sync(app.view_functions[rule.endpoint])(**context.path_values)

        return LeanRoute(rule, handle), dict(values)
