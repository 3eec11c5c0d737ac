"""What a handler returns becomes the response, checked against the document once, on the way out."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, get_args, get_origin

from flask import Response
from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import PydanticSerializationError, to_json
from werkzeug.wrappers import Response as BaseResponse

from pymacaron.events import ContractViolated
from pymacaron.exceptions import BadResponseException, is_error
from pymacaron.validation import describe, validate_json

if TYPE_CHECKING:
    from pymacaron.service import Service
    from pymacaron.spec import Media, Operation
    from pymacaron.spec import Response as DeclaredResponse

Encoders = Mapping[type, Callable[[Any], object]]
_NO_BODY = frozenset({204, 205, 304})
_FIRST_ERROR = 400


@dataclass(frozen=True, slots=True)
class Result:
    """A handler's return value, taken apart. status None: the document decides."""

    value: object
    status: int | None
    headers: dict[str, str]

    @classmethod
    def of(cls, returned: object) -> Result:
        """Take apart ``value``, ``(value, status)``, ``(value, status, headers)`` or ``(value, headers)``.

        A model with the fields of an error body says its own status.
        """
        if isinstance(returned, BaseModel) and is_error(returned):
            return cls(returned, int(getattr(returned, "status")), {})  # noqa: B009 - a generated field
        if not isinstance(returned, tuple) or not 2 <= len(returned) <= 3:  # noqa: PLR2004 - the forms above
            return cls(returned, None, {})
        value, second, *rest = returned
        if isinstance(second, Mapping):
            return cls(value, None, dict(second))
        if not isinstance(second, int):
            return cls(returned, None, {})
        return cls(value, int(second), dict(rest[0]) if rest else {})


class ResponseCheck:
    """When answers are checked, and what happens to a wrong one.

    mode: ``enforce`` (the caller gets a 500 with the reason), ``observe`` (a ContractViolated event, the answer is sent
    as it is), ``sample:0.01`` (observe that share of the answers), ``off``.
    """

    def __init__(self, mode: str) -> None:
        """Take a valid *mode*; see `is_mode`."""
        self.is_enforced = mode == "enforce"
        share = mode.partition(":")[2]
        self._share = 0.0 if mode == "off" else float(share) if share else 1.0

    @staticmethod
    def is_mode(mode: object) -> bool:
        """Tell whether *mode* is one of the four."""
        if mode in {"enforce", "observe", "off"}:
            return True
        word, _, share = str(mode).partition(":")
        try:
            return word == "sample" and 0 <= float(share) <= 1
        except ValueError:
            return False

    def is_due(self) -> bool:
        """Tell whether this answer is checked."""
        return self._share >= 1 or random.random() < self._share  # noqa: S311 - sampling, not a secret


class Answerer:
    """Builds the responses of one operation."""

    def __init__(
        self, service: Service, operation: Operation, models: Mapping[str, type], check: ResponseCheck
    ) -> None:
        """Take *models*, class name -> generated class."""
        self._service = service
        self._operation = operation
        self._check = check
        self._models = models
        self._default_status = _default_status(operation)
        self._default_empty_status = _default_status(operation, is_empty=True)
        names = (media.model_name for response in operation.responses for media in response.media)
        self._list_items = {models[name]: _list_item(models[name]) for name in names if name}
        self._declared: dict[int, DeclaredResponse | None] = {}

    def answer(self, returned: object) -> BaseResponse:
        """Return the response for what the handler *returned*. Raises BadResponseException in mode enforce."""
        if isinstance(returned, BaseResponse):
            return self._answer_response(returned)
        result = Result.of(returned)
        if isinstance(result.value, BaseResponse):
            result.value.headers.update(result.headers)
            if result.status is not None:
                result.value.status_code = result.status
            return self._answer_response(result.value)
        is_empty = result.value is None
        status = result.status or (self._default_empty_status if is_empty else self._default_status)
        declared = self._find(status)
        if declared is None:
            self._violate_undeclared(status)
        media = self._choose_media(declared, result.value)
        if status in _NO_BODY or (is_empty and (declared is None or not declared.media)):
            if not is_empty:
                self._violate(f"response {status}", f"status {status} has no body, the handler returned one")
            return self._finish(Response(b"", status=status), result.headers, is_bodiless=True)
        if isinstance(result.value, Iterator):
            mimetype = media.media_type if media else "application/octet-stream"
            return self._finish(Response(result.value, status=status, content_type=mimetype), result.headers)
        return self._answer_value(result, status, media)

    def _answer_value(self, result: Result, status: int, media: Media | None) -> BaseResponse:
        value = result.value
        if isinstance(value, (bytes, str)) and (media is None or not media.is_json):
            content_type = media.media_type if media and "*" not in media.media_type else None
            default = "text/plain" if isinstance(value, str) else "application/octet-stream"
            return self._finish(Response(value, status=status, content_type=content_type or default), result.headers)
        data = self._to_json(value, status, media)
        content_type = media.media_type if media and media.is_json else "application/json"
        return self._finish(Response(data, status=status, content_type=content_type), result.headers)

    def _to_json(self, value: object, status: int, media: Media | None) -> bytes:
        model = self._models.get(media.model_name) if media and media.model_name else None
        encoders = self._service.json_encoders
        try:
            if model is not None and not encoders and self._is_trusted(value, model):
                if issubclass(model, RootModel) and not isinstance(value, model):
                    value = model.model_construct(value)
                return model.__pydantic_serializer__.to_json(value, by_alias=True)  # type: ignore[attr-defined,no-any-return]
            data = _encode(value, encoders) if encoders else to_json(value, by_alias=True, inf_nan_mode="null")
        except (PydanticSerializationError, TypeError, ValueError) as error:
            raise BadResponseException(
                f"{self._operation.operation_id} returned what JSON cannot say: {error}"
            ) from error
        if model is not None and self._check.is_due():
            try:
                validate_json(model, data)
            except ValidationError as error:
                self._violate(f"response {status}", describe(error))
        return data

    def _is_trusted(self, value: object, model: type) -> bool:
        """Tell whether *value* was validated when it was made: an instance of the declared model, or a list of them."""
        if type(value) is model:
            return True
        item = self._list_items.get(model)
        return item is not None and type(value) is list and all(type(element) is item for element in value)

    def _answer_response(self, response: BaseResponse) -> BaseResponse:
        status = response.status_code
        declared = self._find(status)
        if declared is None:
            self._violate_undeclared(status)
        elif declared.media and not response.is_streamed and response.is_json and self._check.is_due():
            media = next((media for media in declared.media if media.is_json), None)
            model = self._models.get(media.model_name) if media and media.model_name else None
            if model is not None:
                try:
                    validate_json(model, response.get_data())
                except ValidationError as error:
                    self._violate(f"response {status}", describe(error))
        return response

    def note_error(self, status: int) -> None:
        """Report an error that the handler raised with a *status* that the document does not declare."""
        if self._find(status) is None and self._operation.responses:
            self._emit(f"response {status}", f"the handler raised status {status}, which the document does not declare")

    def _find(self, status: int) -> DeclaredResponse | None:
        if status not in self._declared:
            self._declared[status] = self._operation.find_response(status)
        return self._declared[status]

    def _choose_media(self, declared: DeclaredResponse | None, value: object) -> Media | None:
        if declared is None or not declared.media:
            return None
        if isinstance(value, (str, bytes)):
            return next((media for media in declared.media if not media.is_json), declared.media[0])
        return next((media for media in declared.media if media.is_json), declared.media[0])

    def _finish(self, response: Response, headers: Mapping[str, str], *, is_bodiless: bool = False) -> Response:
        if is_bodiless:
            del response.headers["Content-Type"]
        for name, value in headers.items():
            response.headers[name] = str(value)
        return response

    def _violate_undeclared(self, status: int) -> None:
        """Report a status that is not declared, unless the document says nothing of answers, as OpenAPI 3.1 may."""
        if self._operation.responses:
            self._violate(f"response {status}", f"the document declares no status {status} for this operation")

    def _violate(self, where: str, detail: str) -> None:
        if not self._check.is_enforced and not self._check.is_due():
            return
        self._emit(where, detail)
        if self._check.is_enforced:
            raise BadResponseException(f"{self._operation.operation_id}, {where}: {detail}")

    def _emit(self, where: str, detail: str) -> None:
        self._service.bus.emit(ContractViolated(self._operation.operation_id, where, detail))


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


def _list_item(model: type) -> type[BaseModel] | None:
    """Return X for a root model of ``list[X]`` that asks nothing else of the list."""
    if not issubclass(model, RootModel):
        return None
    root = model.model_fields["root"]
    items = get_args(root.annotation)
    is_list = get_origin(root.annotation) is list and len(items) == 1 and not root.metadata
    return items[0] if is_list and isinstance(items[0], type) and issubclass(items[0], BaseModel) else None


def _encode(value: object, encoders: Encoders) -> bytes:
    """Encode with the service's own functions by type; for services that give ``API(json_encoders=)``."""

    def default(element: object) -> object:
        if isinstance(element, BaseModel):
            return element.model_dump(by_alias=True)
        for cls, encode in encoders.items():
            if isinstance(element, cls):
                return encode(element)
        return json.loads(to_json(element))

    return json.dumps(value, default=default).encode()
