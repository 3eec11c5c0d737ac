"""What a handler returns becomes the response: in the representation that fits, held to the document on the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response as BaseResponse

from pymacaron import file_answers
from pymacaron.call import PlainAnswer
from pymacaron.declared_answer import DeclaredAnswer, LeanAnswer, Representation
from pymacaron.exceptions import NotAcceptableError
from pymacaron.handler_result import Draft, Result
from pymacaron.header_values import write_header
from pymacaron.negotiation import parse_wishes, quality_of
from pymacaron.rendering import Renderer
from pymacaron.response_check import Violation, ViolationReporter
from pymacaron.streams import is_stream

if TYPE_CHECKING:
    from pymacaron.call import Call
    from pymacaron.response_check import ResponseCheck
    from pymacaron.service import Service
    from pymacaron.spec import Api, Operation

_NO_BODY = frozenset({204, 205, 304})
_SUCCESS = range(200, 300)
_SAFE = frozenset({"GET", "HEAD", "QUERY"})  # what has changed nothing may still be refused
_MOST_REMEMBERED = 64


class Answerer:
    """Builds the responses of one operation."""

    def __init__(
        self, service: Service, api: Api, operation: Operation, *, models: Mapping[str, type], check: ResponseCheck
    ) -> None:
        """Take *models*, class name -> generated class."""
        self._service = service
        self._api = api
        self._operation = operation
        self._check = check
        self._models = models
        self._reporter = ViolationReporter(service, operation, check)
        self._renderer = Renderer(service, operation.operation_id, self._reporter, self.note_error)
        self._default_status = _default_status(operation)
        self._default_empty_status = _default_status(operation, is_empty=True)
        self._declared: dict[int, DeclaredAnswer | None] = {}
        self._lean: dict[int | None, LeanAnswer | None] = {}
        self._has_answers = bool(operation.responses)  # OpenAPI 3.1 may say nothing of them
        self._offered = _offered(operation)
        self._is_acceptable: dict[str, bool] = {}

    def refuse_unacceptable(self, call: Call) -> None:
        """Refuse a request if it accepts nothing that the operation declares.

        Raises: NotAcceptableError: before the handler did anything.
        """
        accept = call.environ.get("HTTP_ACCEPT") if self._offered else None
        if accept and accept != "*/*" and not self._accepts_any(accept):
            raise _not_acceptable(self._offered)

    def _accepts_any(self, accept: str) -> bool:
        known = self._is_acceptable.get(accept)
        if known is None:
            wishes = parse_wishes(accept)
            known = any(quality_of(media_type, wishes) > 0 for media_type in self._offered)
            if len(self._is_acceptable) < _MOST_REMEMBERED:
                self._is_acceptable[accept] = known
        return known

    def answer_lean(self, returned: object) -> PlainAnswer | None:
        """Return the answer for what the handler *returned* if it is as usual, None if it takes `answer`."""
        value, status = returned, None
        if type(returned) is tuple and len(returned) == 2 and isinstance(returned[1], int):  # noqa: PLR2004 - a pair
            value, status = returned
        elif returned is None:
            status = self._default_empty_status
        try:
            lean = self._lean[status]
        except KeyError:
            lean = self._prepare_lean(status)
        return lean.answer(value) if lean is not None else None

    def answer(self, returned: object, call: Call) -> PlainAnswer | BaseResponse:
        """Return the answer for what the handler *returned*. Raises BadResponseException in mode enforce."""
        if isinstance(returned, BaseResponse):
            return self._answer_response(returned, call)
        result = Result.of(returned)
        if isinstance(result.value, BaseResponse):
            for name, value in result.headers.items():
                result.value.headers[name] = write_header(value)
            if result.status is not None:
                result.value.status_code = result.status
            return self._answer_response(result.value, call)
        is_empty = result.value is None
        status = result.status or (self._default_empty_status if is_empty else self._default_status)
        declared = self._find(status)
        draft = Draft(call, result.value, status, result.headers, declared, self._check.is_due())
        if declared is None and self._has_answers:
            self._note_undeclared(draft)
        if status in _NO_BODY or (is_empty and (declared is None or not declared.representations)):
            answer: PlainAnswer | BaseResponse = self._answer_nothing(draft)
        else:
            answer = self._answer_value(draft)
        if isinstance(answer, PlainAnswer) and (draft.headers or (declared is not None and declared.headers)):
            answer = answer.to_response()
        if not isinstance(answer, PlainAnswer):
            self._write_headers(draft, answer)
            if declared is not None and draft.is_checked:
                draft.violations += declared.find_header_violations(answer.headers)
        self._reporter.settle(status, draft.violations)
        return answer

    def _note_undeclared(self, draft: Draft) -> None:
        reason = f"the document declares no status {draft.status} for this operation"
        draft.violate(Violation("status", reason))
        self._reporter.settle(draft.status, draft.violations)
        draft.violations.clear()

    def _answer_nothing(self, draft: Draft) -> PlainAnswer:
        if draft.value is not None:
            draft.violate(Violation("body", f"status {draft.status} has no body, the handler returned one"))
        return PlainAnswer(draft.status, "", b"")

    def _answer_value(self, draft: Draft) -> PlainAnswer | BaseResponse:
        declared = draft.declared
        if declared is None or not declared.representations:
            if declared is not None and draft.status in _SUCCESS:
                draft.violate(Violation("body", "the document declares no body, the handler returned one"))
            return self._renderer.render(draft)
        only = declared.only_json
        if only is not None and not draft.headers and not isinstance(draft.value, (str, bytes)):
            draft.representation = only
            return self._renderer.render(draft)
        named = next((str(value) for name, value in draft.headers.items() if name.lower() == "content-type"), "")
        if named:
            self._take_named(draft, declared, named)
        else:
            draft.representation = self._choose(declared, draft)
        answer = self._renderer.render(draft)
        if len(declared.representations) > 1 and not named:
            answer = answer.to_response() if isinstance(answer, PlainAnswer) else answer
            answer.vary.add("Accept")
        return answer

    def _take_named(self, draft: Draft, declared: DeclaredAnswer, named: str) -> None:
        draft.content_type = named
        draft.representation = declared.find(named)
        if draft.representation is None:
            draft.violate(Violation("media type", f"the document does not declare the media type {named[:80]}"))

    def _choose(self, declared: DeclaredAnswer, draft: Draft) -> Representation:
        """Return the representation that fits the value and that the request would rather have."""
        fitting = [one for one in declared.representations if _fits(one, draft.value)] or declared.representations
        environ = draft.call.environ
        accept = environ.get("HTTP_ACCEPT")
        if len(declared.representations) == 1 or not accept:
            return fitting[0]
        wishes = parse_wishes(accept)
        qualities = [quality_of(one.media_type, wishes) for one in fitting]
        if not any(qualities) and environ["REQUEST_METHOD"] in _SAFE:
            raise _not_acceptable([one.media_type for one in fitting])
        return fitting[qualities.index(max(qualities))]

    def _write_headers(self, draft: Draft, response: BaseResponse) -> None:
        for name, value in draft.headers.items():
            if value is None:  # a header that this answer does not have
                continue
            declared = draft.declared.find_header(name) if draft.declared is not None else None
            write = declared.write if declared is not None else write_header
            if name.lower() == "set-cookie" and isinstance(value, list):
                response.headers.setlist(name, [write(cookie) for cookie in value])
            elif draft.status not in _NO_BODY or name.lower() != "content-type":
                response.headers[name] = write(value)

    def _answer_response(self, response: BaseResponse, call: Call) -> BaseResponse:
        """Check a response that the handler made itself."""
        if not self._check.is_due():
            return response
        status = response.status_code
        declared = self._find(status)
        violations: list[Violation] = []
        if declared is not None:
            is_head = call.environ["REQUEST_METHOD"] == "HEAD"
            violations += self._find_response_violations(response, declared, is_head=is_head)
            violations += declared.find_header_violations(response.headers)
        elif self._has_answers and not (status in file_answers.PROTOCOL_STATUSES and self._find(HTTPStatus.OK)):
            violations.append(Violation("status", f"the document declares no status {status} for this operation"))
        self._reporter.settle(status, violations)
        return response

    def _find_response_violations(
        self, response: BaseResponse, declared: DeclaredAnswer, *, is_head: bool
    ) -> list[Violation]:
        has_body = response.is_streamed or bool(response.get_data())
        if not declared.representations or response.status_code in _NO_BODY:
            is_wrong = has_body and response.status_code in _SUCCESS
            reason = "the document declares no body, the handler returned one"
            return [Violation("body", reason)] if is_wrong else []
        if not has_body:
            reason = "the document declares a body, the handler returned none"
            return [] if is_head else [Violation("body", reason)]
        media_type = response.content_type or ""
        representation = declared.find(media_type)
        if representation is None:
            reason = f"the document does not declare the media type {media_type[:80] or 'of the answer'}"
            return [Violation("media type", reason)]
        if response.is_streamed:
            return []
        if response.is_json:
            return representation.find_violations(response.get_data())
        is_text = media_type.startswith("text/")
        return representation.find_text_violations(response.get_data(as_text=True)) if is_text else []

    def _prepare_lean(self, status: int | None) -> LeanAnswer | None:
        """Return the short way for answers with *status* (None: the handler names none), None if there is none."""
        known = self._default_status if status is None else status
        declared = self._find(known)
        lean = None
        if declared is not None and not declared.needs_headers and not self._service.json_encoders:
            may_have_body = known not in _NO_BODY
            lean = LeanAnswer(declared, known, may_have_body=may_have_body, is_status_given=status is not None)
        self._lean[status] = lean
        return lean

    def note_error(self, status: int) -> None:
        """Report an error that the handler raised with a *status* that the document does not declare."""
        if self._find(status) is None and self._has_answers:
            self._reporter.note_undeclared_error(status)

    def _find(self, status: int) -> DeclaredAnswer | None:
        if status not in self._declared:
            response = self._operation.find_response(status)
            made = DeclaredAnswer(response, self._api, self._models) if response is not None else None
            self._declared[status] = made
        return self._declared[status]


def _not_acceptable(offered: Sequence[str]) -> NotAcceptableError:
    return NotAcceptableError(f"This operation answers {', '.join(offered)}, the request accepts none of it")


def _fits(representation: Representation, value: object) -> bool:
    """Tell whether *value* has the type that content of the media type is made of."""
    if isinstance(value, (str, bytes)) or file_answers.is_file(value):
        return not representation.is_json
    if is_stream(value):
        return True
    is_items = representation.is_sequential and isinstance(value, list)
    return representation.takes_json or is_items


def _offered(operation: Operation) -> tuple[str, ...]:
    """Return the media types of successful answers; none where one of them has no body, or anything may come."""
    successful = [response for response in operation.responses if response.status.startswith("2")]
    successful = successful or [response for response in operation.responses if response.status.lower() == "default"]
    if not all(response.media for response in successful):
        return ()
    return tuple(dict.fromkeys(media.media_type for response in successful for media in response.media))


def _default_status(operation: Operation, *, is_empty: bool = False) -> int:
    """Return the status of an answer without one: the first declared 2xx that fits, else 200 (204 without a body)."""
    fallback = None
    for response in operation.responses:
        if response.status.startswith("2"):
            status = int(response.status.upper().replace("XX", "00"))
            if bool(response.media) != is_empty:
                return status
            fallback = fallback or status
    return fallback or (HTTPStatus.NO_CONTENT if is_empty else HTTPStatus.OK)
