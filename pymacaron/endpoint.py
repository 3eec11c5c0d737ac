"""One request through one operation: authenticate, parse, call the handler, answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymacaron.call import PlainAnswer, current_call
from pymacaron.crash import report_error
from pymacaron.exceptions import PyMacaronException

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from pymacaron.answer import Answerer
    from pymacaron.call import Call
    from pymacaron.guards import Guard
    from pymacaron.handlers import BoundHandler
    from pymacaron.raw_path import RawPath
    from pymacaron.request_reader import RequestReader
    from pymacaron.service import Service
    from pymacaron.spec import Operation

_FIRST_FATAL = 500


class Endpoint:
    """A view function of Flask for one operation."""

    def __init__(
        self,
        service: Service,
        operation: Operation,
        *,
        handler: BoundHandler,
        guard: Guard | None,
        reader: RequestReader,
        answerer: Answerer,
        path: RawPath,
    ) -> None:
        """Take the parts that were built and checked at start."""
        self.operation = operation
        self.path = path
        self._guard = guard
        self._reader = reader
        self._answerer = answerer
        self._service = service
        self._takes_body = handler.takes_body
        self._reads = reader.reads_anything
        is_renamed = any(key != name for key, name in handler.keywords.items())
        self._names = handler.keywords if is_renamed else None
        self._call = service.app.ensure_sync(handler.call)

    def __call__(self, **_path_values: str) -> BaseResponse:
        """Handle the current request of Flask."""
        answer = self.handle(current_call())
        return answer.to_response() if isinstance(answer, PlainAnswer) else answer

    def handle(self, call: Call) -> PlainAnswer | BaseResponse:
        """Handle one request, inside of Flask's contexts."""
        if self._guard is not None:
            self._guard(call)
        self._answerer.refuse_unacceptable(call)
        body, keywords = self._reader.read(call) if self._reads else (None, None)
        if keywords and self._names is not None:
            keywords = {self._names[key]: value for key, value in keywords.items()}
        try:
            if self._takes_body:
                returned = self._call(body, **keywords) if keywords else self._call(body)
            else:
                returned = self._call(**keywords) if keywords else self._call()
        except PyMacaronException as error:
            self._answerer.note_error(self._service.status_of(error))
            raise
        answer = self._answerer.answer_lean(returned) or self._answer(returned, call)
        status = answer[0] if type(answer) is PlainAnswer else answer.status_code  # type: ignore[union-attr]
        if status >= _FIRST_FATAL:
            report_error(f"{self.operation.operation_id} answered {status}")
        return answer

    def _answer(self, returned: object, call: Call) -> PlainAnswer | BaseResponse:
        if isinstance(returned, PyMacaronException):
            self._answerer.note_error(self._service.status_of(returned))
            raise returned
        return self._answerer.answer(returned, call)
