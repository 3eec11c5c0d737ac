"""Builds the Api from an upgraded document that obeys the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from urllib.parse import urlsplit

from pymacaron.json_types import Json, JsonObject
from pymacaron.redaction import is_secret_name
from pymacaron.spec.bodies import BodyReader, ModelNames
from pymacaron.spec.bundle import Bundle
from pymacaron.spec.closing import close_schema, find_closed_schemas
from pymacaron.spec.model import Api, Operation, Parameter, SecurityScheme
from pymacaron.spec.naming import class_name
from pymacaron.spec.operations import WrittenOperation, dereference, iterate_operations
from pymacaron.spec.parameters import ParameterReader, parameters_schema
from pymacaron.spec.pointers import join_pointer


def build_api(
    bundle: Bundle, document: JsonObject, name: str, *, model_names: Mapping[str, str], is_closed: bool
) -> Api:
    """Return the Api of *document*, the upgraded form of *bundle*.

    model_names: names of schemas as written -> class names. is_closed: bodies refuse properties that are not named.
    """
    schemas = dict(document.get("components", {}).get("schemas", {}))
    close: Callable[[Json], Json] = close_schema if is_closed else _keep
    if is_closed:
        schemas |= {key: close_schema(schemas[key]) for key in find_closed_schemas(document)}
    names = ModelNames(schemas)
    builder = _OperationBuilder(
        document,
        names,
        BodyReader(document, names, bundle.original_pointer, close, is_classic=is_closed),
        ParameterReader(document, bundle.original_pointer),
        bundle.original_pointer,
    )
    operations = tuple(builder.build(written) for written in iterate_operations(document))
    return Api(
        name=name,
        source=bundle.main.source,
        text=bundle.main.text,
        sha256=_digest(bundle),
        document=document,
        title=document["info"].get("title", ""),
        version=document["info"].get("version", ""),
        base_path=_base_path(document),
        operations=operations,
        schemas=names.schemas,
        security_schemes=dict(_read_schemes(document)),
        extensions=_extensions(document),
        model_names=model_names,
        files={key: source.text for key, source in bundle.files.items()},
        schema_pointers={
            key: bundle.original_pointer(join_pointer("/components/schemas", key)) for key in model_names.values()
        },
    )


class _OperationBuilder:
    """Builds operations of one document, one after the other, so that names of models stay unique."""

    def __init__(
        self,
        document: JsonObject,
        names: ModelNames,
        bodies: BodyReader,
        parameters: ParameterReader,
        locate: Callable[[str], str],
    ) -> None:
        self._document = document
        self._names = names
        self._bodies = bodies
        self._parameters = parameters
        self._locate = locate

    def build(self, written: WrittenOperation) -> Operation:
        node = written.node
        parameters = self._parameters.read(written)
        is_form = any(parameter.location == "form" for parameter in parameters)
        body = self._bodies.read_body(written, is_named=not is_form)
        responses = tuple(self._bodies.read_responses(written))
        schema = parameters_schema(parameters)
        wanted = class_name(written.operation_id) + "Parameters"
        return Operation(
            operation_id=written.operation_id,
            method=written.method,
            path=written.path,
            pointer=self._locate(written.pointer),
            handler=node.get("x-bind-server") or node.get("operationId"),
            parameters=parameters,
            body=None if is_form else body,
            responses=responses,
            security=self._security(node),
            parameters_model=self._names.add(wanted, schema, f"{written.pointer}/parameters") if schema else None,
            summary=node.get("summary", ""),
            description=node.get("description", ""),
            tags=tuple(node.get("tags", ())),
            form=body if is_form else None,
            is_deprecated=node.get("deprecated") is True,
            extensions=_extensions(node),
            has_secret_path=any(one.location == "path" and self._is_secret(one) for one in parameters),
        )

    def _is_secret(self, parameter: Parameter) -> bool:
        schema = dereference(self._document, parameter.schema, "").node
        return is_secret_name(parameter.name) or schema.get("format") == "password" or schema.get("writeOnly") is True

    def _security(self, node: JsonObject) -> tuple[Mapping[str, tuple[str, ...]], ...]:
        requirements: list[JsonObject] = node["security"] if "security" in node else self._document.get("security", [])
        return tuple({name: tuple(scopes) for name, scopes in each.items()} for each in requirements)


def _keep(schema: Json) -> Json:
    return schema


def _digest(bundle: Bundle) -> str:
    """Return the hex digest of the text, and of the texts of other files if there are any."""
    digest = sha256(bundle.main.text.encode())
    for key in sorted(bundle.files):
        digest.update(bundle.files[key].text.encode())
    return digest.hexdigest()


def _base_path(document: JsonObject) -> str:
    """Return the path of the first server, its variables at their defaults, without a slash at the end."""
    for server in document.get("servers", ())[:1]:
        url = server.get("url", "")
        for name, variable in server.get("variables", {}).items():
            url = url.replace(f"{{{name}}}", variable.get("default", ""))
        try:
            path = urlsplit(url).path.rstrip("/")
        except ValueError:
            return ""
        return path if path.startswith("/") else ""
    return ""


def _read_schemes(document: JsonObject) -> Iterator[tuple[str, SecurityScheme]]:
    for name, written in document.get("components", {}).get("securitySchemes", {}).items():
        node = dereference(document, written, "").node
        yield (
            name,
            SecurityScheme(
                name=name,
                type=node.get("type", ""),
                scheme=node.get("scheme", "").lower(),
                location=node.get("in", ""),
                key=node.get("name", ""),
                bearer_format=node.get("bearerFormat", ""),
            ),
        )


def _extensions(node: JsonObject) -> dict[str, Json]:
    return {key: value for key, value in node.items() if key.startswith("x-")}
