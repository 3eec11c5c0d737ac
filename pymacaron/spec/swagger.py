"""Swagger 2.0 -> the shape of OpenAPI 3.1, remembering where each part came from."""

from __future__ import annotations

from typing import NamedTuple

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.bundle import Fault
from pymacaron.spec.grammar import METHODS, OWN_STYLE, PATH_ITEMS_KEY, SWAGGER_2, TARGET_VERSION
from pymacaron.spec.media_types import FORM_TYPES, is_form_type
from pymacaron.spec.pointers import follow_pointer, join_pointer, pointer_of_fragment
from pymacaron.spec.schemas import rebuild, upgrade_schema
from pymacaron.spec.swagger_security import upgrade_scheme

_FOLDERS = {
    "#/definitions/": "#/components/schemas/",
    "#/responses/": "#/components/responses/",
    "#/parameters/": "#/components/parameters/",
    f"#/{PATH_ITEMS_KEY}/": "#/components/pathItems/",
}
_KEPT_AT_ROOT = ("info", "tags", "externalDocs", "security")
# Fields of a parameter or header that do not belong to its schema.
_OWN_FIELDS = {"name", "in", "description", "required", "schema", "collectionFormat", "allowEmptyValue", "x-mandatory"}
_STYLES = {
    "csv": {"style": "form", "explode": False},
    "ssv": {"style": "spaceDelimited", "explode": False},
    "tsv": {"style": "tabDelimited", "explode": False},
    "pipes": {"style": "pipeDelimited", "explode": False},
    "multi": {"style": "form", "explode": True},
}


class _Part(NamedTuple):
    """A parameter, its references followed. pointer: where it is used; source: where it stands."""

    node: JsonObject
    pointer: str
    source: str
    written: JsonObject


def upgrade_swagger(root: JsonObject) -> tuple[JsonObject, dict[str, str], list[Fault]]:
    """Return the upgraded document, its moves (new pointer -> old pointer) and the faults found on the way."""
    swagger = _Swagger(root)
    return swagger.upgrade(), swagger.moves, swagger.faults


class _Swagger:
    """One document on its way."""

    def __init__(self, root: JsonObject) -> None:
        self.moves: dict[str, str] = {}
        self.faults: list[Fault] = []
        self._root = root
        self._consumes: list[str] = root.get("consumes") or ["application/json"]
        self._produces: list[str] = root.get("produces") or ["application/json"]

    def upgrade(self) -> JsonObject:
        root = self._root
        document: JsonObject = {"openapi": TARGET_VERSION}
        document |= {key: value for key, value in root.items() if key in _KEPT_AT_ROOT or key.startswith("x-")}
        document.pop(PATH_ITEMS_KEY, None)
        document["servers"] = _servers(root)
        document["paths"] = {
            path: item if path.startswith("x-") else self._path_item(item, join_pointer("/paths", path))
            for path, item in root.get("paths", {}).items()
        }
        document["components"] = self._components()
        return document

    def _components(self) -> JsonObject:
        root = self._root
        self.moves["/components/schemas"] = "/definitions"
        self.moves["/components/securitySchemes"] = "/securityDefinitions"
        return {
            "schemas": {name: self._schema(schema) for name, schema in root.get("definitions", {}).items()},
            "parameters": {
                name: self._parameter(node, join_pointer("/components/parameters", name), old)
                for name, node in root.get("parameters", {}).items()
                if (old := join_pointer("/parameters", name))
                and self._follow(node, old).node.get("in") not in ("body", "formData")
            },
            "responses": {
                name: self._response(
                    node, join_pointer("/components/responses", name), join_pointer("/responses", name), self._produces
                )
                for name, node in root.get("responses", {}).items()
            },
            "securitySchemes": {
                name: upgrade_scheme(_keep_known("security-scheme", scheme))
                for name, scheme in root.get("securityDefinitions", {}).items()
            },
            "pathItems": {
                name: self._path_item(item, join_pointer("/components/pathItems", name))
                for name, item in root.get(PATH_ITEMS_KEY, {}).items()
            },
        }

    def _schema(self, schema: Json) -> Json:
        return rebuild(SWAGGER_2, "schema", schema, _upgrade_object)

    def _follow(self, node: JsonObject, pointer: str) -> _Part:
        """Return the parameter or response that *node* is or refers to."""
        written, source = node, pointer
        while "$ref" in node:
            source = pointer_of_fragment(node["$ref"][1:])
            node = follow_pointer(self._root, source)
        return _Part(node, pointer, source, written)

    def _path_item(self, item: JsonObject, pointer: str) -> JsonObject:
        if pointer.startswith("/components/"):
            self.moves[pointer] = old = pointer.replace("/components/pathItems", f"/{PATH_ITEMS_KEY}")
        else:
            old = pointer
        parts = self._parts(item, old)
        upgraded = _follow_folder(_keep_known("path-item", item))
        if "parameters" in item:
            upgraded["parameters"] = self._parameters(parts, pointer)
        for method in item:
            if method in METHODS:
                upgraded[method] = self._operation(
                    item[method], join_pointer(pointer, method), join_pointer(old, method), parts
                )
        return upgraded

    def _parts(self, holder: JsonObject, pointer: str) -> list[_Part]:
        return [
            self._follow(node, join_pointer(pointer, "parameters", index))
            for index, node in enumerate(holder.get("parameters", []))
        ]

    def _operation(self, operation: JsonObject, new: str, old: str, outer: list[_Part]) -> JsonObject:
        parts = self._parts(operation, old)
        upgraded = {
            key: value
            for key, value in _keep_known("operation", operation).items()
            if key not in ("parameters", "consumes", "produces", "schemes")
        }
        if "parameters" in operation:
            upgraded["parameters"] = self._parameters(parts, new)
        body = self._body(parts, operation, new) or self._body(outer, operation, new)
        if body:
            upgraded["requestBody"] = body
        produces = operation.get("produces") or self._produces
        if "responses" in operation:
            upgraded["responses"] = {
                status: response
                if status.startswith("x-")
                else self._response(
                    response, join_pointer(new, "responses", status), join_pointer(old, "responses", status), produces
                )
                for status, response in operation["responses"].items()
            }
        return upgraded

    def _parameters(self, parts: list[_Part], new: str) -> list[JsonObject]:
        """Return what is neither body nor form."""
        parameters: list[JsonObject] = []
        for part in parts:
            if part.node.get("in") not in ("body", "formData"):
                pointer = join_pointer(new, "parameters", len(parameters))
                parameters.append(self._parameter(part.written, pointer, part.pointer))
        return parameters

    def _parameter(self, node: JsonObject, new: str, old: str) -> JsonObject:
        self.moves[new] = old
        if "$ref" in node:
            return _follow_folder({"$ref": node["$ref"]})
        self.moves[new + "/schema"] = old
        schema, own = self._split(node)
        parameter = {key: own[key] for key in own if key != "collectionFormat"} | {"schema": schema}
        if own.get("x-mandatory") is True or own.get("in") == "path":
            parameter["required"] = True
        if schema.get("type") == "array":
            style = self._style(own, old)
            is_in_path = node.get("in") in ("path", "header")
            parameter |= {"style": "simple", "explode": False} if is_in_path and style["style"] == "form" else style
            if (is_in_path or style["style"] == "tabDelimited") and parameter["style"] != "simple":
                parameter[OWN_STYLE] = own["collectionFormat"]
        return parameter

    def _split(self, node: JsonObject) -> tuple[JsonObject, JsonObject]:
        """Return the schema that a parameter or header is, and the fields that are its own."""
        own = {key: value for key, value in node.items() if key in _OWN_FIELDS or _is_extension(key)}
        schema = {key: value for key, value in node.items() if key not in own}
        return self._schema(schema) or {}, own

    def _style(self, own: JsonObject, pointer: str) -> JsonObject:
        name = own.get("collectionFormat", "csv")
        if name not in _STYLES:
            self.faults.append(
                Fault(join_pointer(pointer, "collectionFormat"), f"{name!r} is unknown", f"Write {', '.join(_STYLES)}")
            )
        return dict(_STYLES.get(name, _STYLES["csv"]))

    def _body(self, parts: list[_Part], operation: JsonObject, new: str) -> JsonObject | None:
        bodies = [part for part in parts if part.node.get("in") == "body"]
        fields = [part for part in parts if part.node.get("in") == "formData"]
        if len(bodies) > 1 or (bodies and fields):
            self.faults.append(
                Fault((bodies + fields)[1].pointer, "an operation has one body, in: body or formData", "Keep one")
            )
        pointer = join_pointer(new, "requestBody")
        consumes = operation.get("consumes") or self._consumes
        if bodies:
            return self._json_body(bodies[0], consumes, pointer)
        return self._form(fields, consumes, pointer) if fields else None

    def _json_body(self, part: _Part, consumes: list[str], pointer: str) -> JsonObject:
        self.moves[pointer] = part.pointer
        schema = self._schema(part.node.get("schema", {}))
        for media_type in consumes:
            self._move_content(pointer, media_type, part.pointer, part.source + "/schema")
        is_required = part.node.get("required") is True or part.node.get("x-mandatory") is True
        return {
            **_extensions(part.node),
            "description": part.node.get("description", ""),
            "required": is_required,
            "content": {media_type: {"schema": schema} for media_type in consumes},
        }

    def _form(self, fields: list[_Part], consumes: list[str], pointer: str) -> JsonObject:
        """Return the body that form fields make up: one object schema under the form's media types."""
        properties: JsonObject = {}
        required: list[str] = []
        encoding: JsonObject = {}
        places: dict[str, str] = {}
        for field in fields:
            name = field.node.get("name", "")
            if name in properties:
                self.faults.append(Fault(field.pointer, f"the form field {name} stands here twice", "Remove one"))
            schema, own = self._split(field.node)
            properties[name] = schema | ({"description": own["description"]} if own.get("description") else {})
            places[name] = field.pointer
            if own.get("required") is True or own.get("x-mandatory") is True:
                required.append(name)
            if schema.get("type") == "array":
                encoding[name] = self._style(own, field.pointer)
        schema = {"type": "object", "properties": properties} | ({"required": required} if required else {})
        has_file = any(field.node.get("type") == "file" for field in fields)
        media_types = FORM_TYPES[1:] if has_file else [name for name in consumes if is_form_type(name)]
        self.moves[pointer] = fields[0].pointer.rpartition("/")[0]
        for media_type in media_types or FORM_TYPES[:1]:
            place = join_pointer(pointer, "content", media_type, "schema")
            self.moves[place] = self.moves[pointer]
            self.moves |= {join_pointer(place, "properties", name): old for name, old in places.items()}
        media = {"schema": schema} | ({"encoding": encoding} if encoding else {})
        return {"required": bool(required), "content": dict.fromkeys(media_types or FORM_TYPES[:1], media)}

    def _response(self, node: JsonObject, new: str, old: str, produces: list[str]) -> JsonObject:
        self.moves[new] = old
        if "$ref" in node:
            if produces == self._produces:
                return _follow_folder({"$ref": node["$ref"]})
            node, _, old, _ = self._follow(node, old)
            self.moves[new] = old
        response = {key: value for key, value in node.items() if key == "description" or _is_extension(key)}
        response.setdefault("description", "")
        if "headers" in node:
            response["headers"] = {name: self._header(header) for name, header in node["headers"].items()}
        if "schema" in node:
            is_file = node["schema"] == {"type": "file"} and produces == ["application/json"]
            schema = self._schema(node["schema"])
            response["content"] = {}
            for media_type in ["application/octet-stream"] if is_file else produces:
                self._move_content(new, media_type, old, old + "/schema")
                example = node.get("examples", {}).get(media_type)
                media = {"schema": schema} | ({} if example is None else {"example": example})
                response["content"][media_type] = media
        return response

    def _header(self, node: JsonObject) -> JsonObject:
        schema, own = self._split(node)
        return {key: value for key, value in own.items() if key != "collectionFormat"} | {"schema": schema}

    def _move_content(self, new: str, media_type: str, old: str, old_schema: str) -> None:
        place = join_pointer(new, "content", media_type)
        self.moves[place] = old
        self.moves[place + "/schema"] = old_schema


def _upgrade_object(kind: str, node: JsonObject) -> Json:
    return upgrade_schema(_follow_folder(node), is_older=True) if kind == "schema" else node


def _follow_folder(node: JsonObject) -> JsonObject:
    """Return a copy of *node* whose $ref names the new folder."""
    copy = dict(node)
    ref = copy.get("$ref", "")
    for old, new in _FOLDERS.items():
        if ref.startswith(old):
            copy["$ref"] = new + ref.removeprefix(old)
    return copy


def _keep_known(kind: str, node: JsonObject) -> JsonObject:
    """Return *node* without fields that Swagger 2.0 does not have: they would mean something in OpenAPI 3."""
    fields = SWAGGER_2[kind].fields
    return {key: value for key, value in node.items() if key in fields or key == "$ref" or key.startswith("x-")}


def _is_extension(key: str) -> bool:
    return key.startswith("x-") and key != "x-nullable"


def _extensions(node: JsonObject) -> JsonObject:
    return {key: value for key, value in node.items() if _is_extension(key)}


def _servers(root: JsonObject) -> list[JsonObject]:
    base_path = root.get("basePath", "").rstrip("/")
    if "host" not in root:
        return [{"url": base_path or "/"}]
    return [{"url": f"{scheme}://{root['host']}{base_path}"} for scheme in root.get("schemes") or ["https"]]
