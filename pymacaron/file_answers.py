"""Files as answers: ranges, validators and 304 as HTTP has them.

Source: RFC 9110, sections 13 and 14, done by Werkzeug.
"""

from __future__ import annotations

import io
import mimetypes
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeGuard

from flask import request, send_file
from pydantic import BaseModel

if TYPE_CHECKING:
    from flask import Response

_OK = HTTPStatus.OK
FileValue = Path | IO[bytes]
# Statuses that HTTP itself makes of a file that was asked for with conditions; documents need not declare them.
PROTOCOL_STATUSES = frozenset({206, 304, 416})


def is_file(value: object) -> TypeGuard[FileValue]:
    """Tell whether *value* is a path or an open file."""
    if isinstance(value, BaseModel):  # which may have a property called read
        return False
    is_open_file = callable(getattr(value, "read", None)) and not isinstance(value, io.TextIOBase)
    return is_open_file or isinstance(value, Path)


def guess_media_type(value: FileValue) -> str:
    """Return the media type that the name of a file says."""
    name = value.name if isinstance(value, Path) else str(getattr(value, "name", ""))
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def send(value: FileValue, status: int, media_type: str) -> Response:
    """Return the answer with the content of a file.

    Raises: OSError: it cannot be read. RequestedRangeNotSatisfiable: the request asks for bytes that it does not have.
    """
    response = send_file(value, mimetype=media_type.split(";", maxsplit=1)[0], conditional=status == _OK)
    response.content_type = media_type
    if status != _OK:
        response.status_code = status
    if request.method == "HEAD" or response.status_code == HTTPStatus.NOT_MODIFIED:
        response.close()  # Werkzeug sends nothing of it, and would leave the file open
    return response
