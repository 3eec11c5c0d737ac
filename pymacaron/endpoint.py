"""One request through one operation: authenticate, parse, call the handler, answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from flask import request
from pydantic import RootModel, ValidationError
from pydantic_core import from_json
from werkzeug.wrappers import Response as BaseResponse

from pymacaron.answer import Answerer
from pymacaron.crash import report_error
from pymacaron.exceptions import InvalidParameterError, PyMacaronException, UnsupportedMediaTypeError
from pymacaron.model import unwrap
from pymacaron.parameters import ParameterReader, parse_scalar, read_shape
from pymacaron.spec.media_types import essence_of, is_form_type
from pymacaron.validation import SchemaCheck, describe, validate_json

if TYPE_CHECKING:
    from pymacaron.handlers import BoundHandler
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.service import Service
    from pymacaron.spec import Api, Body, Media, Operation

Guard = Callable[[], None]
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
    ) -> None:
        """Take the parts that were built and checked at start."""
        self.operation = operation
        self._handler = handler
        self._guard = guard
        self._reader = reader
        self._answerer = answerer
        self._service = service
        self._call = service.app.ensure_sync(handler.call)

    def __call__(self, **_path_values: str) -> BaseResponse:
        """Handle the current request of Flask."""
        if self._guard is not None:
            self._guard()
        body, keywords = self._reader.read()
        keywords = {self._handler.keywords[key]: value for key, value in keywords.items()}
        try:
            returned = self._call(body, **keywords) if self._handler.takes_body else self._call(**keywords)
            if isinstance(returned, PyMacaronException):
                raise returned
        except PyMacaronException as error:
            self._answerer.note_error(self._service.status_of(error))
            raise
        response = self._answerer.answer(returned)
        if response.status_code >= _FIRST_FATAL:
            report_error(f"{self.operation.operation_id} answered {response.status_code}")
        return response


class RequestReader:
    """Reads body and parameters of one operation's requests; everything wrong is said in one answer."""

    def __init__(
        self,
        api: Api,
        operation: Operation,
        *,
        models: Mapping[str, type],
        path_names: Mapping[str, str],
        optional: frozenset[str],
    ) -> None:
        """Take *path_names*, parameter name -> variable of the route."""
        readers = [
            ParameterReader(parameter, api.schemas, path_names.get(parameter.name, ""))
            for parameter in operation.parameters
        ]
        self._files = [reader for reader in readers if reader.parameter.is_file]
        self._texts = [reader for reader in readers if not reader.parameter.is_file]
        self._model = models[operation.parameters_model] if operation.parameters_model else None
        self._attributes = _attributes(self._model) if self._model else {}
        self._check = SchemaCheck.build(api.schemas.get(operation.parameters_model or ""), api.schemas)
        self._optional = optional
        self._form = _by_essence(operation.form) if operation.form else None
        self._body_reader = BodyReader(api, operation.body, models) if operation.body else None

    def read(self) -> tuple[Json, dict[str, object]]:
        """Return body and keywords of the current request. Raises InvalidParameterError with every reason."""
        faults: list[str] = []
        if self._form is not None and request.mimetype and request.mimetype not in self._form:
            raise _unsupported(request.mimetype, self._form)
        keywords = self._read_parameters(faults)
        body: Json = None
        if self._body_reader is not None:
            body = self._body_reader.read(faults)
        if faults:
            raise InvalidParameterError(faults=faults)
        return body, keywords

    def _read_parameters(self, faults: list[str]) -> dict[str, object]:
        keywords: dict[str, object] = {}
        for reader in self._files:
            self._read_file(reader, keywords, faults)
        if not self._texts or self._model is None:
            return keywords
        given = self._read_texts(faults)
        try:
            values = validate_json(self._model, json.dumps(given))
        except ValidationError as error:
            faults.append(self._describe(error))
            return keywords
        if self._check is not None:
            faults += [f"parameters {fault}" for fault in self._check.find_faults(given)]
        for reader in self._texts:
            value = unwrap(getattr(values, self._attributes[reader.keyword]))
            is_absent = value is None and reader.keyword not in given
            if not (is_absent and reader.keyword in self._optional):
                keywords[reader.keyword] = value
        return keywords

    def _read_texts(self, faults: list[str]) -> JsonObject:
        """Return the JSON values of the parameters that came, by keyword."""
        given: JsonObject = {}
        for reader in self._texts:
            try:
                is_given, value = reader.read(request)
            except ValueError as error:
                faults.append(f"{reader.parameter.location} {reader.parameter.name}: {error}")
                continue
            if is_given:
                given[reader.keyword] = value
        return given

    def _describe(self, error: ValidationError) -> str:
        places = {reader.keyword: f"{reader.parameter.location} {reader.parameter.name}" for reader in self._texts}
        clauses = []
        for finding in error.errors(include_url=False, include_context=False, include_input=False):
            keyword, *rest = finding["loc"] or ("",)
            place = places.get(str(keyword), str(keyword))
            clauses.append(f"{place}{''.join(f'/{part}' for part in rest)}: {finding['msg']}")
        return "; ".join(clauses)

    def _read_file(self, reader: ParameterReader, keywords: dict[str, object], faults: list[str]) -> None:
        files = request.files.getlist(reader.parameter.name)
        if files:
            is_list = reader.parameter.schema.get("type") == "array"
            keywords[reader.keyword] = files if is_list else files[0]
        elif reader.parameter.is_required:
            faults.append(f"form {reader.parameter.name}: a file is required")
        elif reader.keyword not in self._optional:
            keywords[reader.keyword] = None


class BodyReader:
    """Reads request bodies: JSON becomes the model, forms too, text a string, anything else bytes."""

    def __init__(self, api: Api, body: Body, models: Mapping[str, type]) -> None:
        """Take the declared *body*."""
        self._is_required = body.is_required
        self._media = _by_essence(body)
        self._models = models
        self._schemas = api.schemas
        checks = {media.model_name: SchemaCheck.build(media.schema, api.schemas) for media in body.media}
        self._checks = {models.get(name or ""): check for name, check in checks.items() if check is not None}
        self._absent_model = self._find_absent_model(body)

    def _find_absent_model(self, body: Body) -> type | None:
        """Return what is made of an absent body, if the document is of a kind where that is an empty object."""
        names = [media.model_name for media in body.media if media.is_json and media.model_name]
        model = self._models.get(names[0]) if names and body.is_object_if_absent and not body.is_required else None
        return None if model is None or issubclass(model, RootModel) else model

    def read(self, faults: list[str]) -> Json:
        """Return the body of the current request, None if there is none and none is demanded.

        Raises: UnsupportedMediaTypeError: its media type is not declared.
        """
        data = request.get_data()
        if not data and not request.form:
            if self._is_required:
                faults.append("body: it is missing")
            return self._read_json(b"{}", self._absent_model, faults) if self._absent_model else None
        media = self._find_media(request.mimetype)
        model = self._models.get(media.model_name) if media.model_name else None
        if media.is_json:
            return self._read_json(data, model, faults)
        if is_form_type(request.mimetype):
            return self._read_form(media, model, faults)
        if request.mimetype.startswith("text/"):
            return data.decode(request.mimetype_params.get("charset", "utf-8"), "replace")
        return data

    def _find_media(self, essence: str) -> Media:
        for candidate in (essence, f"{essence.partition('/')[0]}/*", "*/*"):
            if candidate in self._media:
                return self._media[candidate]
        raise _unsupported(essence, self._media)

    def _read_json(self, data: bytes, model: type | None, faults: list[str]) -> Json:
        try:
            if (
                model is None or b"NaN" in data or b"Infinity" in data
            ):  # pydantic takes these for JSON where anything goes
                content = from_json(data, allow_inf_nan=False)
                if model is None:
                    return content
            value = validate_json(model, data)
        except ValidationError as error:
            faults.append(describe(error, "body "))
        except ValueError as error:
            faults.append(f"body: {error}")
        else:
            if model in self._checks:
                faults += [f"body {fault}" for fault in self._checks[model].find_faults(from_json(data))]
            return value.root if isinstance(value, RootModel) else value
        return None

    def _read_form(self, media: Media, model: type | None, faults: list[str]) -> Json:
        shape = read_shape(media.schema or {}, self._schemas)
        fields: JsonObject = {}
        for name, texts in request.form.lists():
            inner = shape.properties.get(name)
            is_array = inner is not None and "array" in inner.types
            types = (
                (inner.items.types if is_array and inner and inner.items else inner.types)
                if inner
                else frozenset({"string"})
            )
            values = [parse_scalar(text, types) for text in texts]
            fields[name] = values if is_array else values[-1]
        return self._read_json(json.dumps(fields).encode(), model, faults)


def _by_essence(body: Body) -> dict[str, Media]:
    """Return the media of *body* by type and subtype, without parameters."""
    return {essence_of(media.media_type): media for media in body.media}


def _unsupported(essence: str, declared: Mapping[str, Media]) -> UnsupportedMediaTypeError:
    what = f"The body is {essence or 'of no media type'}"
    return UnsupportedMediaTypeError(f"{what}, this operation takes {', '.join(declared)}")


def _attributes(model: type) -> dict[str, str]:
    """Map what a parameters model calls its fields in JSON to their attribute names."""
    return {field.alias or name: name for name, field in model.model_fields.items()}  # type: ignore[attr-defined]
