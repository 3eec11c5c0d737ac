"""The service as a bare WSGI callable: what is left when there is no framework."""

from __future__ import annotations

import jwt
from orders import ORDERS, Batch, Order, verify
from pydantic import ValidationError

ORDER = Order.__pydantic_validator__
ORDER_BYTES = Order.__pydantic_serializer__
LIST_BYTES = type(ORDERS).__pydantic_serializer__


def ping(environ):
    return "200 OK", b"{}"


def create_order(environ):
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme != "Bearer":
        return "401 Unauthorized", b'{"error":"no token"}'
    try:
        verify(token)
    except jwt.PyJWTError:
        return "401 Unauthorized", b'{"error":"wrong token"}'
    return create_open_order(environ)


def create_open_order(environ):
    try:
        order = ORDER.validate_json(read_body(environ))
    except ValidationError as error:
        return "422 Unprocessable Content", error.json().encode()
    return "201 Created", ORDER_BYTES.to_json(order)


def list_orders(environ):
    return "200 OK", LIST_BYTES.to_json(ORDERS)


def count_lines(environ):
    try:
        batch = Batch.model_validate_json(read_body(environ))
    except ValidationError as error:
        return "422 Unprocessable Content", error.json().encode()
    return "200 OK", b'{"count":%d}' % len(batch.lines)


def read_body(environ):
    return environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))


ROUTES = {
    ("GET", "/ping"): ping,
    ("POST", "/orders"): create_order,
    ("GET", "/orders"): list_orders,
    ("POST", "/batches"): count_lines,
}


OPEN_ROUTES = {**ROUTES, ("POST", "/orders"): create_open_order}


def app(environ, start_response, routes=ROUTES):
    handle = routes.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
    status, body = handle(environ) if handle else ("404 Not Found", b"{}")
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def open_app(environ, start_response):
    """Serve everybody: what is left when nobody looks at tokens."""
    return app(environ, start_response, OPEN_ROUTES)
