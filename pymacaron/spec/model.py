"""The one model of an API document, whichever version of OpenAPI it was written in."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.lines import describe_place
from pymacaron.spec.media_types import is_form_type, is_json_type

Location = Literal["path", "query", "querystring", "header", "cookie", "form"]
STYLE_KEYS = frozenset({"style", "explode", "allowReserved"})
"""Keys of an encoding that make a property look as in a query; next to them ``contentType`` means nothing."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value outside the body, or one field of a form.

    schema: JSON Schema 2020-12; a binary form field (a file) has ``format: binary``.
    style, explode: OpenAPI's serialization, always filled in; style ``content`` is a text that holds JSON,
    ``tabDelimited`` is Swagger 2.0's ``tsv``.
    may_be_empty: an empty text means that the parameter is not used (``allowEmptyValue``).
    is_required_if_form: a form that comes must have the field, although no form need come.
    pointer: its place in the document. keyword: name under which handlers get it, snake_case, unique in its operation.
    """

    name: str
    location: Location
    schema: JsonObject
    is_required: bool
    style: str
    explode: bool
    pointer: str
    keyword: str
    description: str = ""
    may_be_empty: bool = False
    is_required_if_form: bool = False

    @property
    def is_file(self) -> bool:
        """Tell whether this is a file in a form, or a list of files."""
        items = self.schema.get("items")
        schemas = [self.schema, items if isinstance(items, dict) else {}]
        return self.location == "form" and any(schema.get("format") == "binary" for schema in schemas)


@dataclass(frozen=True, slots=True)
class Media:
    """One representation of a body: its media type, its schema (None: any content) and the name of its model.

    model_name: class in the generated ``X_models.py`` that stands for the schema; None where a schema says nothing
    (``{}``), or where the content is neither JSON nor a form. item_schema, item_model_name: the same for each item of
    a stream (OpenAPI 3.2's ``itemSchema``), whatever the media type. encoding: property -> what the document writes of
    ``{contentType, headers, style, explode, allowReserved, encoding}``; headers as in `Response`. examples: name ->
    value, ``""`` being the name of the one that has none. opaque_parts: properties of a form
    that are objects, or arrays of them, in parts that are no JSON: *schema* has text in their place.
    """

    media_type: str
    schema: JsonObject | None
    model_name: str | None
    pointer: str
    item_schema: JsonObject | None = None
    item_model_name: str | None = None
    encoding: Mapping[str, JsonObject] = field(default_factory=dict)
    examples: Mapping[str, Json] = field(default_factory=dict)
    opaque_parts: frozenset[str] = frozenset()

    @property
    def is_json(self) -> bool:
        """Tell whether the content is JSON (``application/json``, ``…+json``)."""
        return is_json_type(self.media_type)

    @property
    def is_form(self) -> bool:
        """Tell whether the content is a form, ``application/x-www-form-urlencoded`` or ``multipart/form-data``."""
        return is_form_type(self.media_type)


@dataclass(frozen=True, slots=True)
class Body:
    """What an operation takes as request body, by media type, in the document's order.

    is_object_if_absent: no body means ``{}``, as in documents of Swagger 2.0, whose handlers expect a model.
    """

    media: tuple[Media, ...]
    is_required: bool
    pointer: str
    is_object_if_absent: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """One declared answer.

    status: ``"200"``, ``"4XX"`` or ``"default"``. media empty: no body. headers: name -> Header Object of OpenAPI, its
    reference followed: ``{schema or content, required?, explode?, description?}``; never ``Content-Type``, which
    OpenAPI says to ignore.
    """

    status: str
    media: tuple[Media, ...]
    headers: Mapping[str, JsonObject]
    description: str
    pointer: str


@dataclass(frozen=True, slots=True)
class SecurityScheme:
    """A named way to authenticate.

    type: ``http``, ``apiKey``, ``oauth2``, ``openIdConnect`` or ``mutualTLS``. scheme: for http ``bearer``, ``basic`` …
    location and key: for apiKey where the key stands (header, query, cookie) and its name.
    """

    name: str
    type: str
    scheme: str = ""
    location: str = ""
    key: str = ""
    bearer_format: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    operation_id: unique; derived from method and path where the document has none.
    handler: what names the function (``x-bind-server``, else ``operationId``); None if the document names nothing.
    parameters_model: generated class whose fields are the keywords of all parameters that are text; None without any.
    body: what handlers get as their first argument. form: a body whose fields became parameters instead; its media
    have no models. path: template as written, ``/pets/{id}``. security: alternatives, each a mapping scheme -> scopes;
    an empty mapping is anonymous access, an empty tuple means that nothing is asked. extensions: every ``x-…``
    key, raw. has_secret_path: a value in the path is a secret, so logs must show the template in its place.
    """

    operation_id: str
    method: str
    path: str
    pointer: str
    handler: str | None
    parameters: tuple[Parameter, ...]
    body: Body | None
    responses: tuple[Response, ...]
    security: tuple[Mapping[str, tuple[str, ...]], ...]
    parameters_model: str | None = None
    summary: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    is_deprecated: bool = False
    form: Body | None = None
    extensions: Mapping[str, Json] = field(default_factory=dict)
    has_secret_path: bool = False

    @property
    def statuses(self) -> tuple[str, ...]:
        """Declared statuses, in the document's order."""
        return tuple(response.status for response in self.responses)

    def find_response(self, status: int) -> Response | None:
        """Return the declared answer for *status*: the exact one, else ``4XX``-like, else ``default``, else None."""
        by_status = {response.status.upper(): response for response in self.responses}
        for key in (str(status), f"{status // 100}XX", "DEFAULT"):
            if key in by_status:
                return by_status[key]
        return None


@dataclass(frozen=True, slots=True)
class Api:
    """A whole document.

    name: stem of its file, the name in ``apipool``. source: file path or URL. text: as read, for ``/doc``.
    files: texts of other files that the document refers to, by path relative to it. sha256: hex digest of all texts.
    document: upgraded to OpenAPI 3.1's shape, all in one, its schemas under their class names; nobody may change it.
    model_names: name of a schema as written -> class name. schemas: every named schema by its class name, the
    document's own (``components/schemas``) and those that inline bodies and parameters got a name for; what the
    generated models are made from; `pymacaron.spec.resources` tells of stubs among them. base_path: path of the first
    server, ``""`` or ``/v1``. schema_pointers: class name of one of the document's own schemas -> where that stands as
    written.
    """

    name: str
    source: str
    text: str
    sha256: str
    document: JsonObject
    title: str
    version: str
    base_path: str
    operations: tuple[Operation, ...]
    schemas: Mapping[str, JsonObject]
    security_schemes: Mapping[str, SecurityScheme]
    extensions: Mapping[str, Json] = field(default_factory=dict)
    model_names: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    schema_pointers: Mapping[str, str] = field(default_factory=dict)

    def place_of(self, pointer: str) -> str:
        """Return ``apis/pets.yaml:12#/paths/~1pets`` for the ``pointer`` of an operation, a parameter, a body …."""
        if pointer[:1] in ("", "/"):
            return describe_place(self.source, self.text, pointer)
        file, _, inner = pointer.partition("#")
        place = file if "://" in file else posixpath.join(posixpath.dirname(self.source), file)
        return describe_place(place, self.files.get(file, ""), inner)

    def get_operation(self, operation_id: str) -> Operation:
        """Return the operation of that id. Raises KeyError with the ids that exist."""
        for operation in self.operations:
            if operation.operation_id == operation_id:
                return operation
        known = ", ".join(sorted(operation.operation_id for operation in self.operations))
        raise KeyError(f"{self.name} has no operation {operation_id}; it has {known}")
