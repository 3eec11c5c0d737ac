"""The arguments of a call, held to the document before anything is sent."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_core import to_json

from pymacaron.client.contents import BodyWriter, Encoded, Field, read_fields, to_plain, write_form
from pymacaron.client.expansion import Written, to_json_value, write_parameters
from pymacaron.exceptions import CallArgumentsError
from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.media_types import FORM_TYPES, essence_of
from pymacaron.validation import SchemaCheck, validate_json

if TYPE_CHECKING:
    from pymacaron.spec import Operation, Parameter


@dataclass(slots=True)
class Outgoing:
    """What the arguments of one call became."""

    written: Written = field(default_factory=Written)
    body: Encoded = field(default_factory=Encoded)


class ArgumentWriter:
    """Checks and writes the arguments of one operation's calls."""

    def __init__(self, operation: Operation, models: Mapping[str, type], schemas: Mapping[str, JsonObject]) -> None:
        """Take *models*, class name -> class, and *schemas* by the same names."""
        self._operation = operation
        self._model = models.get(operation.parameters_model or "")
        self._check = SchemaCheck.build(schemas.get(operation.parameters_model or ""), schemas, direction="request")
        self._body = BodyWriter(operation.body, models, schemas) if operation.body else None
        self._keywords = {
            **{parameter.name: parameter for parameter in operation.parameters},
            **{parameter.keyword: parameter for parameter in operation.parameters},
        }

    def write(self, bodies: Sequence[object], keywords: Mapping[str, object]) -> Outgoing:
        """Return the request of one call. Raises CallArgumentsError with everything that is wrong."""
        faults: list[str] = []
        values = self._sort(keywords, faults)
        texts = self._to_json(values, faults)
        self._validate(texts, faults)
        outgoing = Outgoing()
        if not faults:
            outgoing.written = write_parameters(self._operation, texts, faults)
        if self._operation.form is not None:
            outgoing.body = self._write_form(values, faults)
        if self._body is not None and len(bodies) <= 1:
            outgoing.body = self._body.write(bodies[0] if bodies else None, faults)
        elif bodies:
            what = "one body" if self._body else "no body, only keywords"
            faults.append(f"{len(bodies)} arguments came without a keyword, it takes {what}")
        if faults:
            raise CallArgumentsError(self._operation.operation_id, faults)
        return outgoing

    def _sort(self, keywords: Mapping[str, object], faults: list[str]) -> dict[str, object]:
        """Return what was given for each parameter, by keyword; None for an optional one is nothing."""
        values: dict[str, object] = {}
        for name, value in keywords.items():
            parameter = self._keywords.get(name)
            if parameter is None:
                faults.append(f"it has no parameter {name}{self._hint(name)}")
            elif value is not None or (parameter.is_required and not parameter.is_file):
                values[parameter.keyword] = value
        missing = [
            parameter.keyword
            for parameter in self._operation.parameters
            if parameter.is_required and parameter.keyword not in values
        ]
        faults += [f"{keyword} is missing" for keyword in missing]
        return values

    def _hint(self, name: str) -> str:
        if not self._keywords:
            return ", it takes none"
        close = difflib.get_close_matches(name, self._keywords, 1)
        if close:
            return f", did you mean {self._keywords[close[0]].keyword}"
        return f", it takes {', '.join(parameter.keyword for parameter in self._operation.parameters)}"

    def _to_json(self, values: Mapping[str, object], faults: list[str]) -> dict[str, Json]:
        texts: dict[str, Json] = {}
        for parameter in self._operation.parameters:
            if parameter.keyword in values and not parameter.is_file:
                try:
                    texts[parameter.keyword] = to_json_value(to_plain(values[parameter.keyword]))
                except ValueError as error:
                    faults.append(f"{parameter.keyword}: {error}")
        return texts

    def _validate(self, texts: Mapping[str, Json], faults: list[str]) -> None:
        if self._model is None or faults:
            return
        try:
            validate_json(self._model, to_json(texts))
        except ValidationError as error:
            for finding in error.errors(include_url=False, include_context=False, include_input=False):
                keyword, *rest = finding["loc"] or ("",)
                faults.append(f"{keyword}{''.join(f'/{part}' for part in rest)}: {finding['msg']}")
            return
        if self._check is not None:
            faults += self._check.find_faults(dict(texts))

    def _write_form(self, values: Mapping[str, object], faults: list[str]) -> Encoded:
        assert self._operation.form is not None
        given = [p for p in self._operation.parameters if p.location == "form" and p.keyword in values]
        if not given and not self._operation.form.is_required:
            return Encoded()
        media_type, encoding = self._choose_form(given)
        fields: list[Field] = []
        for parameter in given:
            try:
                fields += read_fields(parameter, values[parameter.keyword], encoding.get(parameter.name, {}))
            except ValueError as error:
                faults.append(f"{parameter.keyword}: {error}")
        return write_form(fields, media_type, faults)

    def _choose_form(self, given: Sequence[Parameter]) -> tuple[str, Mapping[str, JsonObject]]:
        """Return the media type: the first declared one, multipart where there are files."""
        assert self._operation.form is not None
        urlencoded, multipart = FORM_TYPES
        by_type = {essence_of(media.media_type): media for media in self._operation.form.media}
        has_files = any(parameter.is_file for parameter in given)
        wanted = multipart if has_files and multipart in by_type else next(iter(by_type), urlencoded)
        return wanted, by_type[wanted].encoding if wanted in by_type else {}
