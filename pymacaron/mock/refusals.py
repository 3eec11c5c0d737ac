"""What a mock answers to requests that it refuses: with the body that the document declares for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response

from pymacaron.exceptions import InvalidParameterError, PyMacaronException
from pymacaron.mock.contents import Content, draw_headers
from pymacaron.mock.preferences import Preferences
from pymacaron.request_events import current_record

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron.spec import Api, Operation

_FIRST_FATAL = 500
_UNPROCESSABLE = 422


class Refusals:
    """The error callback of one mock."""

    def __init__(self, api: Api, seed: int) -> None:
        """Answer for *api*; *seed* as for `MockHandler`."""
        self._api = api
        self._seed = seed

    def __call__(self, error: Exception) -> Response | tuple[JsonObject, int]:
        """Return the answer to *error*: the runtime's own body where it fits, else one that does and says the same."""
        assert isinstance(error, PyMacaronException)
        record = current_record()
        operation = record.operation if record else None
        if operation is None or error.status >= _FIRST_FATAL:
            return error.to_dict(), error.status
        status = _choose_status(operation, error)
        body = {**error.to_dict(), "status": status}
        declared = operation.find_response(status)
        if declared is None or not declared.media:
            return body, status
        media = next((media for media in declared.media if media.is_json), declared.media[0])
        content = Content(self._api, media)
        if media.is_json and content.sampler.is_valid(body):
            return body, status
        seed = f"{self._seed} {operation.operation_id} {status}"
        response = content.answer(status, seed, Preferences(), _facts(body))
        response.headers.update(draw_headers(self._api, declared, seed))
        response.headers.update(error.headers)
        return response


def _choose_status(operation: Operation, error: PyMacaronException) -> int:
    """Return the error's status; 422 for wrong content if the document has that for it."""
    declared = {status.upper() for status in operation.statuses}
    is_content = isinstance(error, InvalidParameterError)
    if is_content and str(_UNPROCESSABLE) in declared and declared.isdisjoint({str(error.status), "4XX"}):
        return _UNPROCESSABLE
    return error.status


def _facts(body: JsonObject) -> JsonObject:
    """Return what *body* says, under the names that error bodies usually have."""
    text = body["error_description"]
    texts = dict.fromkeys(("message", "detail", "description", "error_description", "error_message"), text)
    return {**body, **texts, "code": body["status"], "statusCode": body["status"]}
