"""What a mock answers: an example of the document, else values drawn from the schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import Response, request
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from pymacaron.exceptions import InvalidParameterError
from pymacaron.mock.contents import Content, choose_media, draw_headers
from pymacaron.mock.preferences import Preferences, read_preferences

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.spec import Api, Operation
    from pymacaron.spec import Response as DeclaredResponse

_NO_BODY = frozenset({204, 205, 304})


class MockHandler:
    """Stands in for the handler of one operation."""

    def __init__(self, api: Api, operation: Operation, seed: int) -> None:
        """Answer *operation* of *api*; the same *seed* and the same request give the same answer."""
        self._api = api
        self._operation = operation
        self._seed = seed
        self._contents: dict[str, Content] = {}

    def __call__(self, *body: object, **keywords: object) -> Response:
        """Answer the current request of Flask. Raises PyMacaronException."""
        wishes = read_preferences(request.headers.getlist("Prefer"))
        status, declared = _choose_response(self._operation, wishes.code)
        response = self._build(status, declared, wishes, _given(body, keywords)) if declared else Response(status=204)
        if not response.content_length and not response.is_streamed:
            response.headers.pop("Content-Type", None)
        return response

    def _build(
        self, status: int, declared: DeclaredResponse, wishes: Preferences, given: Mapping[str, Json]
    ) -> Response:
        seed = f"{self._seed} {_request_key()}"
        media = None if status in _NO_BODY else choose_media(declared)
        if media is None:
            response = Response(status=status)
        else:
            content = self._contents.setdefault(media.pointer, Content(self._api, media))
            response = content.answer(status, f"{seed} {media.media_type}", wishes, given)
        response.headers.update(draw_headers(self._api, declared, seed))
        return response


def _choose_response(operation: Operation, code: int | None) -> tuple[int, DeclaredResponse | None]:
    """Return the status to answer and what is declared for it; without a wish the likeliest success.

    Raises: InvalidParameterError: the wished one is not declared.
    """
    if code is not None:
        declared = operation.find_response(code)
        if declared is None:
            known = ", ".join(operation.statuses) or "none"
            raise InvalidParameterError(
                faults=[f"header Prefer: the document declares no status {code} for this operation, but {known}"]
            )
        return code, declared
    for first in ("2", "3", "default", ""):  # errors come last
        for response in operation.responses:
            if response.status.lower().startswith(first):
                return _status_of(response.status), response
    return 204, None


def _status_of(status: str) -> int:
    return 200 if status.lower() == "default" else int(status.upper().replace("XX", "00"))


def _given(body: tuple[object, ...], keywords: Mapping[str, object]) -> dict[str, Json]:
    """Return what came with the request, by name: properties of the body, then parameters."""
    found: dict[str, Json] = {}
    for part in (*body, keywords):
        if isinstance(part, dict | BaseModel):
            found |= to_jsonable_python(part, by_alias=True, bytes_mode="base64", fallback=lambda _: None)
    return found


def _request_key() -> str:
    """Return a text that tells requests apart: method, path, query, body."""
    query = "&".join(sorted(request.query_string.decode("latin-1").split("&")))
    return f"{request.method} {request.path} {query} {request.get_data(cache=True).hex()[:4000]}"
