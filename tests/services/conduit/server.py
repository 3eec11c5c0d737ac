"""Conduit as a WSGI app: `pymacaron run`, or any WSGI server with `server:app`."""

from __future__ import annotations

from conduit.errors import answer_error
from pymacaron import create_app
from pymacaron.auth import jwt_resolver
from pymacaron.persistence import check_store

app = create_app(
    __name__,
    handlers="conduit.handlers",
    error_callback=answer_error,
    ping_hook=check_store,
    security_resolvers={"Token": jwt_resolver(header="Authorization", prefix="Token")},
)
with app.app_context():
    check_store()  # a file that cannot be opened stops the start
