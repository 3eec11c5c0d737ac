"""Parameters and body of a request, everything that is wrong with them in one answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import request
from pydantic import ValidationError

from pymacaron.body_bytes import limit_body, unpack_body
from pymacaron.exceptions import InvalidParameterError
from pymacaron.form_parts import read_parts
from pymacaron.forms import FormField, FormValues, group_parts
from pymacaron.media_table import MediaTable
from pymacaron.model import unwrap
from pymacaron.parameters import ParameterReader
from pymacaron.plain_parameters import PlainParameters, PlainValues, are_plain
from pymacaron.request_body import BodyReader, refuse_media_type
from pymacaron.shapes import read_shape
from pymacaron.validation import SchemaCheck, message_of, validate_json

if TYPE_CHECKING:
    from pymacaron.call import Call
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.raw_path import RawPath
    from pymacaron.spec import Api, Body, Media, Operation, Parameter


class RequestReader:
    """Reads body and parameters of one operation's requests."""

    def __init__(
        self,
        api: Api,
        operation: Operation,
        *,
        models: Mapping[str, type],
        path: RawPath,
        optional: frozenset[str],
        refuses_unknown: bool = False,
    ) -> None:
        """Take the *optional* keywords: those that are left out when the request leaves them out.

        refuses_unknown: query parameters and form fields that the document does not name are refused.
        """
        self._parameters = operation.parameters
        names = frozenset(parameter.name for parameter in operation.parameters if parameter.location == "query")
        self._readers = [
            ParameterReader(parameter, api.schemas, path, others=names)
            for parameter in operation.parameters
            if parameter.location != "form"
        ]
        self._queries = [reader for reader in self._readers if reader.parameter.location.startswith("query")]
        self._model = models[operation.parameters_model] if operation.parameters_model else None
        self._attributes = _attributes(self._model) if self._model else {}
        self._check = SchemaCheck.build(api.schemas.get(operation.parameters_model or ""), api.schemas)
        self._optional = optional
        self._refuses_unknown = refuses_unknown
        self._keys = _query_keys(api, operation)
        self._form = FormReader(api, operation, operation.form) if operation.form else None
        self._body_reader = BodyReader(api, operation.body, models) if operation.body else None
        self._reads_parameters = bool(operation.parameters) or refuses_unknown
        self._plain: PlainParameters | None = None
        if self._form is None and are_plain(self._readers):
            attributes = {one.keyword: self._attributes[one.keyword] for one in operation.parameters}
            values = PlainValues(self._model, self._check, attributes, optional) if self._model else None
            self._plain = PlainParameters(self._readers, values, path, refuses_unknown=refuses_unknown)
        # Where a body is all that there is to read, as most often.
        self._only_body = None if self._reads_parameters else self._body_reader

    @property
    def reads_anything(self) -> bool:
        """Tell whether requests are read at all: there are parameters or a body, or none may come."""
        has_body = self._body_reader is not None or self._form is not None
        return has_body or self._reads_parameters

    def read(self, call: Call) -> tuple[Json, dict[str, object]]:
        """Return body and keywords of a request. Raises InvalidParameterError with every reason."""
        environ = call.environ
        faults: list[str] = []
        if self._only_body is not None and "HTTP_CONTENT_ENCODING" not in environ and environ.get("CONTENT_LENGTH"):
            body = self._only_body.read(call, faults)
            if faults:
                raise InvalidParameterError(faults=faults)
            return body, {}
        return self._read_all(call, faults)

    def _read_all(self, call: Call, faults: list[str]) -> tuple[Json, dict[str, object]]:
        known: dict[str, object] | None = None
        if self._plain is not None:
            known = self._plain.read(call) if self._reads_parameters else {}
        if known is not None and self._body_reader is None:
            return None, known
        keywords = known or {}
        if self._form is not None or self._body_reader is not None:
            environ = call.environ
            if not environ.get("CONTENT_LENGTH"):
                limit_body(call.request)
            if "HTTP_CONTENT_ENCODING" in environ:
                unpack_body(call.request)
        if known is None:
            self._read_parameters(call, keywords, faults)
        body: Json = None
        if self._body_reader is not None:
            body = self._body_reader.read(call, faults)
        if faults:
            raise InvalidParameterError(faults=faults)
        return body, keywords

    def _read_parameters(self, call: Call, keywords: dict[str, object], faults: list[str]) -> None:
        given: JsonObject = {}
        if self._form is not None:
            self._read_form(self._form, given, keywords, faults)
        if self._readers:
            self._read_texts(call, given, faults)
        if self._refuses_unknown:
            self._refuse_unknown(faults)
        if self._model is not None:
            self._validate(given, keywords, faults)

    def _read_texts(self, call: Call, given: JsonObject, faults: list[str]) -> None:
        """Add the JSON values of the parameters that came, by keyword."""
        for reader in self._readers:
            try:
                is_given, value = reader.read(call.request)
            except ValueError as error:
                faults.append(f"{reader.parameter.location} {reader.parameter.name}: {error}")
                continue
            if is_given:
                given[reader.keyword] = value

    def _read_form(self, form: FormReader, given: JsonObject, keywords: dict[str, object], faults: list[str]) -> None:
        values = form.read(refuses_unknown=self._refuses_unknown)
        for parameter in form.parameters:
            if parameter.name in values.texts:
                given[parameter.keyword] = values.texts[parameter.name]
            elif parameter.name in values.files:
                keywords[parameter.keyword] = values.files[parameter.name]
            elif parameter.is_file and parameter.is_required:
                faults.append(f"form {parameter.name}: a file is required")
            elif parameter.is_file and parameter.keyword not in self._optional:
                keywords[parameter.keyword] = None
        faults += values.faults

    def _validate(self, given: JsonObject, keywords: dict[str, object], faults: list[str]) -> None:
        assert self._model is not None
        try:
            values = validate_json(self._model, json.dumps(given))
        except ValidationError as error:
            faults += self._describe(error, faults)
            return
        if self._check is not None:
            faults += [f"parameters {fault}" for fault in self._check.find_faults(given)]
        for parameter in self._parameters:
            if parameter.is_file:
                continue
            value = unwrap(getattr(values, self._attributes[parameter.keyword]))
            is_absent = value is None and parameter.keyword not in given
            if not (is_absent and parameter.keyword in self._optional):
                keywords[parameter.keyword] = value

    def _describe(self, error: ValidationError, faults: list[str]) -> list[str]:
        """Return the findings of *error*, without those on parameters that have a fault already."""
        places = {parameter.keyword: f"{parameter.location} {parameter.name}" for parameter in self._parameters}
        known = {fault.partition(":")[0] for fault in faults}
        clauses = []
        for finding in error.errors(include_url=False, include_input=False):
            keyword, *rest = finding["loc"] or ("",)
            place = places.get(str(keyword), str(keyword))
            if place not in known:
                clauses.append(f"{place}{''.join(f'/{part}' for part in rest)}: {message_of(finding)}")
        return clauses

    def _refuse_unknown(self, faults: list[str]) -> None:
        faults += [
            f"query {name[:40]}: the document has no such parameter"
            for name in request.args
            if name not in self._keys and not any(reader.owns(name) for reader in self._queries)
        ]


class FormReader:
    """Reads forms whose fields are keywords of the handler."""

    def __init__(self, api: Api, operation: Operation, form: Body) -> None:
        """Take the *form* of *operation*."""
        self.parameters: list[Parameter] = [one for one in operation.parameters if one.location == "form"]
        self._table = MediaTable(form.media)
        # The forms of Swagger 2.0 have no way to say that they are closed.
        self._is_closed = not form.is_object_if_absent and any(_is_closed(media, api) for media in form.media)
        self._fields = {
            media.media_type: [
                FormField(
                    parameter.name,
                    read_shape(parameter.schema, api.schemas),
                    media.encoding.get(parameter.name, {}),
                    api.schemas,
                    is_file=parameter.is_file,
                )
                for parameter in self.parameters
            ]
            for media in form.media
        }

    def read(self, *, refuses_unknown: bool) -> FormValues:
        """Return what the form in the current request holds.

        Raises: UnsupportedMediaTypeError: the body is no form, or a part has a media type that its field does not take.
        """
        values = FormValues()
        if not request.mimetype:
            if request.get_data():
                raise refuse_media_type(self._table)
            return values
        media = self._table.find(request.mimetype)
        if media is None:
            raise refuse_media_type(self._table)
        try:
            parts = group_parts(read_parts(request))
        except ValueError as error:
            values.faults.append(f"body: {error}")
            return values
        fields = self._fields[media.media_type]
        for field in fields:
            field.read(parts, values)
        values.faults += [
            f"form {parameter.name}: {'a file is required' if parameter.is_file else 'Field required'}"
            for parameter in self.parameters
            if parameter.is_required_if_form and parameter.name not in {**values.texts, **values.files}
        ]
        if refuses_unknown or self._is_closed:
            values.faults += [
                f"form {name[:40]}: the document has no such field"
                for name in parts
                if not any(field.owns(name) for field in fields)
            ]
        return values


def _is_closed(media: Media, api: Api) -> bool:
    schema = media.schema or {}
    schema = api.schemas.get(str(schema.get("$ref", "")).rsplit("/", 1)[-1], schema)
    return schema.get("additionalProperties") is False


def _query_keys(api: Api, operation: Operation) -> frozenset[str]:
    """Return the names of API keys in the query, which are no parameters."""
    names = {name for alternative in operation.security for name in alternative}
    schemes = [api.security_schemes[name] for name in names if name in api.security_schemes]
    return frozenset(scheme.key for scheme in schemes if scheme.type == "apiKey" and scheme.location == "query")


def _attributes(model: type) -> dict[str, str]:
    """Map what a parameters model calls its fields in JSON to their attribute names."""
    return {field.alias or name: name for name, field in model.model_fields.items()}  # type: ignore[attr-defined]
