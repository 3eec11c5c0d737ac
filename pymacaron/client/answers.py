"""What came back becomes a value by the document: a model by status and media type, text, bytes, or an error."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pydantic import RootModel, ValidationError
from pydantic_core import from_json, to_json

from pymacaron.client.streams import ReceivedEvent, Stream, is_stream_type, read_items
from pymacaron.exceptions import Call, CallTimeoutError, RemoteError, UnexpectedAnswerError
from pymacaron.json_types import Json, JsonObject
from pymacaron.media_table import MediaTable
from pymacaron.response_check import ResponseCheck
from pymacaron.spec.media_types import essence_of, is_json_type
from pymacaron.validation import SchemaCheck, describe, validate_json

if TYPE_CHECKING:
    from pymacaron.client.wire import HttpResponse
    from pymacaron.spec import Media, Operation
    from pymacaron.spec import Response as DeclaredResponse

log = logging.getLogger(__name__)

_SUCCESS = range(200, 300)
_REDIRECTION = range(300, 400)
_FIX = "Compare the service with its document, or call with response_validation observe or off"
_SANE_CODE = re.compile(r"[A-Za-z0-9_.:/-]{1,100}\Z")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. headers: case does not matter. value: as `Client.call` returns it."""

    status: int
    headers: Mapping[str, str]
    value: Any


class AnswerReader:
    """Reads the answers of one operation."""

    def __init__(self, operation: Operation, models: Mapping[str, type], schemas: Mapping[str, JsonObject]) -> None:
        """Take *models*, class name -> class, and *schemas* by the same names."""
        self._operation = operation
        self._models = models
        self._schemas = schemas
        self._checks: dict[int, SchemaCheck | None] = {}

    @property
    def accept(self) -> str:
        """Media types that the document declares for successes, for the header Accept."""
        types = [
            media.media_type
            for response in self._operation.responses
            if response.status[0] in "2d"
            for media in response.media
        ]
        return ", ".join(dict.fromkeys(types)) or "*/*"

    def declares(self, status: int) -> bool:
        """Tell whether the document names *status* itself, not by ``default``."""
        return str(status) in self._operation.statuses

    def read(self, response: HttpResponse, call: Call, check: ResponseCheck, total_s: float) -> Answer:
        """Return the answer of a success.

        total_s: how long its content may take, unless it is a stream.
        Raises: RemoteError: it is none. UnexpectedAnswerError: it breaks the document, and *check* is enforced.
        CallTimeoutError: its content takes longer.
        """
        judge = _Judge(call, check)
        declared = self._operation.find_response(response.status)
        is_success = response.status in _SUCCESS or (response.status in _REDIRECTION and self.declares(response.status))
        if not is_success:
            raise self._read_error(response, call, declared, total_s)
        if declared is None:
            judge.note(f"status {response.status}", "the document declares no such status for this operation")
        media = _find_media(declared, response.headers, judge)
        essence = essence_of(response.headers.get("Content-Type", ""))
        if is_stream_type(essence) or (media is not None and media.item_schema is not None):
            items = self._read_stream(essence, response.pieces, media, judge)
            return Answer(response.status, response.headers, Stream(items, response.close))
        data = _read_content(response, call, total_s)
        if not data or (declared is not None and not declared.media):
            return Answer(response.status, response.headers, None)
        value = self._read_value(data, response.headers, media, judge)
        return Answer(response.status, response.headers, value)

    def _read_error(
        self, response: HttpResponse, call: Call, declared: DeclaredResponse | None, total_s: float
    ) -> RemoteError:
        data = _read_content(response, call, total_s)
        media = _find_media(declared, response.headers, None)
        body: Any = None
        plain: Json = None
        if data:
            quiet = _Judge(call, ResponseCheck("off"))
            body = self._read_value(data, response.headers, media, quiet)
            plain = _parse(data, response.headers)
        fields = plain if isinstance(plain, dict) else {}
        return RemoteError(
            call,
            response.status,
            code=_find_code(fields),
            message=next(
                (
                    fields[key]
                    for key in ("error_description", "detail", "message", "title")
                    if isinstance(fields.get(key), str)
                ),
                "",
            ),
            body=body,
            headers=response.headers,
            is_declared=declared is not None,
        )

    def _read_value(self, data: bytes, headers: Mapping[str, str], media: Media | None, judge: _Judge) -> Any:
        essence = essence_of(headers.get("Content-Type", ""))
        if not is_json_type(essence):
            return _to_text(data, headers) if essence.startswith("text/") or _is_text(media) else data
        model = self._models.get(media.model_name) if media and media.model_name else None
        try:
            content = from_json(data, allow_inf_nan=False)
        except ValueError:
            judge.note("body", "it is called JSON and is none")
            return _to_text(data, headers)
        check = self._find_check(media) if media and judge.is_due else None
        return self._fit(content, data, model, check, judge)

    def _fit(self, content: Json, data: bytes, model: type | None, check: SchemaCheck | None, judge: _Judge) -> Any:
        """Return *content* as an instance of *model*; as it is, after noting why, if it does not fit."""
        if check is not None:
            for fault in check.find_faults(content):
                judge.note("body", fault)
        if model is None:
            return content
        try:
            value = validate_json(model, data)
        except ValidationError as error:
            judge.note("body", describe(error))
            return content
        return value.root if isinstance(value, RootModel) else value

    def _find_check(self, media: Media, *, is_item: bool = False) -> SchemaCheck | None:
        schema = media.item_schema if is_item else media.schema
        key = id(schema)
        if key not in self._checks:
            self._checks[key] = SchemaCheck.build(schema, self._schemas, direction="response")
        return self._checks[key]

    def _read_stream(self, essence: str, pieces: Iterator[bytes], media: Media | None, judge: _Judge) -> Iterator[Any]:
        """Yield the items: of the declared model where the document names one, else events, JSON or bytes."""
        if not is_stream_type(essence):
            yield from pieces
            return
        model = self._models.get(media.item_model_name) if media and media.item_model_name else None
        check = self._find_check(media, is_item=True) if media and judge.is_due else None
        try:
            for item in read_items(essence, pieces):
                if isinstance(item, ReceivedEvent) and model is None and check is None:
                    yield item
                    continue
                content = _event_object(item) if isinstance(item, ReceivedEvent) else item
                yield self._fit(content, to_json(content), model, check, judge)
        except ValueError as error:
            raise UnexpectedAnswerError(judge.call, "an item of its stream is no JSON", _FIX) from error


class _Judge:
    """Says what is wrong with one answer: by an exception, or in the log."""

    def __init__(self, call: Call, check: ResponseCheck) -> None:
        self.call = call
        self._is_enforced = check.is_enforced
        self.is_due = check.is_due()

    def note(self, where: str, detail: str) -> None:
        if self._is_enforced:
            raise UnexpectedAnswerError(self.call, f"{where}: {detail}", _FIX)
        if self.is_due:
            log.warning("%s: %s: %s", self.call, where, detail)


def _read_content(response: HttpResponse, call: Call, total_s: float) -> bytes:
    try:
        return response.read(total_s)
    except TimeoutError:
        found = f"its answer was not complete within {total_s:g} s"
        raise CallTimeoutError(call, found, "See why the service is slow, or raise total_s") from None


def _find_media(declared: DeclaredResponse | None, headers: Mapping[str, str], judge: _Judge | None) -> Media | None:
    if declared is None or not declared.media:
        return None
    content_type = headers.get("Content-Type", "")
    table = MediaTable(declared.media)
    media = table.find(content_type)
    if media is None and judge is not None and content_type:
        judge.note("Content-Type", f"it is {essence_of(content_type)}, the document declares {table}")
    return media


def _parse(data: bytes, headers: Mapping[str, str]) -> Json:
    if not is_json_type(headers.get("Content-Type", "")):
        return None
    try:
        return from_json(data)
    except ValueError:
        return None


def _find_code(fields: JsonObject) -> str:
    code = next((fields[key] for key in ("error", "code") if isinstance(fields.get(key), str)), "")
    return code if _SANE_CODE.match(code) else ""


def _event_object(event: ReceivedEvent) -> JsonObject:
    """Source: OpenAPI 3.2, "Sequential Media Types": an item has the fields that the stream wrote."""
    names = {"data": "data", "event": "event", "id": "id", "retry_ms": "retry"}
    defaults = {"event": "message", "id": "", "retry_ms": None}
    return {names[key]: value for key, value in asdict(event).items() if key not in defaults or value != defaults[key]}


def _is_text(media: Media | None) -> bool:
    schema = media.schema if media else None
    return bool(schema) and schema is not None and schema.get("type") == "string" and schema.get("format") != "binary"


def _to_text(data: bytes, headers: Mapping[str, str]) -> str:
    match = re.search(r"charset=\"?([\w-]+)", headers.get("Content-Type", ""), re.IGNORECASE)
    try:
        return data.decode(match[1] if match else "utf-8", "replace")
    except LookupError:
        return data.decode("utf-8", "replace")
