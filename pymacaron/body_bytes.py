"""The bytes of a request body: no more than the app's limit, whether they come in chunks or compressed.

Source: RFC 9110, section 8.4; RFC 1950 to 1952; RFC 7694 for the answer to a coding that is not supported.
"""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import TYPE_CHECKING

from flask import Request
from flask.globals import _cv_app
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from pymacaron.exceptions import InvalidParameterError, UnsupportedMediaTypeError
from pymacaron.request_record import LENGTHS

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream

    from pymacaron.call import Call

_get_app = _cv_app.get
_SUPPORTED = "gzip, deflate, identity"
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's numbers for the two formats


def read_body(call: Call) -> bytes:
    """Return the body of a request; whoever asks for the request object later finds it there.

    Raises: RequestEntityTooLarge: it is larger than MAX_CONTENT_LENGTH. ClientDisconnected: it ends too early.
    """
    environ = call.environ
    size_bytes = LENGTHS[environ.get("CONTENT_LENGTH", "")]
    app = _get_app().app
    is_unusual = "HTTP_TRANSFER_ENCODING" in environ or app.request_class is not Request
    if size_bytes is None or is_unusual or call.has_request:
        return call.request.get_data(parse_form_data=False)
    most_bytes = app.config["MAX_CONTENT_LENGTH"]
    if most_bytes is not None and size_bytes > most_bytes:
        raise RequestEntityTooLarge
    source, is_terminated = environ["wsgi.input"], environ.get("wsgi.input_terminated", False)
    try:  # granian reads all that there is faster than so many bytes
        data: bytes = source.read() if is_terminated else source.read(size_bytes)
    except (OSError, ValueError) as error:
        raise ClientDisconnected from error
    if len(data) != size_bytes:
        data = _read_rest(source, data, size_bytes, may_be_short=is_terminated)
    environ["wsgi.input"] = BytesIO(data)
    return data


def _read_rest(source: InputStream, data: bytes, size_bytes: int, *, may_be_short: bool) -> bytes:
    """Read on, as Werkzeug does. may_be_short: the server says where the body ends, it need not be where it should."""
    try:
        while len(data) < size_bytes:
            piece = source.read(size_bytes - len(data))
            if not piece:
                break
            data += piece
    except (OSError, ValueError) as error:
        raise ClientDisconnected from error
    if len(data) < size_bytes and not may_be_short:
        raise ClientDisconnected
    return data


def limit_body(request: Request) -> None:
    """Hold a body that came without its length to MAX_CONTENT_LENGTH; Werkzeug would cut it off there.

    Raises: RequestEntityTooLarge: it is larger.
    """
    environ, most_bytes = request.environ, request.max_content_length
    if environ.get("CONTENT_LENGTH") or most_bytes is None or not environ.get("wsgi.input_terminated"):
        return
    source = environ["wsgi.input"]
    data = bytearray()
    while len(data) <= most_bytes:
        piece = source.read(most_bytes + 1 - len(data))
        if not piece:
            break
        data += piece
    if len(data) > most_bytes:
        raise RequestEntityTooLarge
    request.stream = BytesIO(data)


def unpack_body(request: Request) -> None:
    """Let *request* have its body without its Content-Encoding.

    Raises: UnsupportedMediaTypeError: the coding is not gzip or deflate, or there are several. RequestEntityTooLarge:
    unpacked it is larger than MAX_CONTENT_LENGTH. InvalidParameterError: it is not what it says.
    """
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding in ("", "identity"):
        return
    if coding not in _WINDOW_BITS:
        raise UnsupportedMediaTypeError(
            f"The body has Content-Encoding {coding[:40]}, this service takes {_SUPPORTED}",
            headers={"Accept-Encoding": _SUPPORTED},
        )
    data = _unpack(request.get_data(cache=False), _WINDOW_BITS[coding], request.max_content_length)
    request.stream = BytesIO(data)


def _unpack(data: bytes, window_bits: int, most_bytes: int | None) -> bytes:
    if not data:
        return data
    if window_bits == _WINDOW_BITS["deflate"] and data[0] & 0x0F != zlib.DEFLATED:
        window_bits = -window_bits  # without the header of zlib, as some clients understood RFC 2616
    unpacker = zlib.decompressobj(window_bits)
    try:
        unpacked = unpacker.decompress(data, 0 if most_bytes is None else most_bytes + 1)
        if most_bytes is not None and len(unpacked) > most_bytes:
            raise RequestEntityTooLarge
        unpacked += unpacker.flush()
    except zlib.error as error:
        raise InvalidParameterError(faults=["body: it is not compressed as its Content-Encoding says"]) from error
    if not unpacker.eof:
        raise InvalidParameterError(faults=["body: it ends too early for its Content-Encoding"])
    return unpacked
