"""Reads and writes AWS's Query protocol by botocore's own descriptions of a service: nothing outside them passes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

from botocore.model import ListShape, OperationModel, ServiceModel, Shape, StringShape, StructureShape

_REQUEST_ID = "11111111-2222-3333-4444-555555555555"


class QueryError(Exception):
    """An answer of AWS that is an error: ``code`` and ``message``, with an HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        """Take what AWS would say."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class ShapeError(Exception):
    """This server was about to answer with what AWS never answers with: a fault of the server, not of the caller."""


def decode_request(model: ServiceModel, body: bytes) -> tuple[OperationModel, dict[str, Any]]:
    """Return operation and parameters of a form body. Raises: QueryError: it does not fit the service's model."""
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))
    action = fields.pop("Action", "")
    if fields.pop("Version", "") != model.api_version or action not in model.operation_names:
        raise QueryError("InvalidAction", f"Could not find operation {action} for version {model.api_version}")
    operation = model.operation_model(action)
    shape = operation.input_shape
    if shape is None:
        return operation, {}
    used: set[str] = set()
    parameters = _decode(shape, "", fields, used)
    unknown = sorted(fields.keys() - used)
    if unknown:
        raise QueryError("MalformedQueryString", f"Unknown parameters: {', '.join(unknown)}")
    return operation, parameters


def encode_answer(operation: OperationModel, answer: Mapping[str, Any]) -> bytes:
    """Return the XML of an answer. Raises: ShapeError: it has a field, or a type, that the model does not have."""
    space = operation.service_model.metadata["xmlNamespace"]
    root = ET.Element(f"{operation.name}Response", xmlns=space)
    shape = operation.output_shape
    if shape is not None:
        wrapper = shape.serialization.get("resultWrapper", f"{operation.name}Result")
        _encode(shape, answer, ET.SubElement(root, wrapper), operation.name)
    elif answer:
        raise ShapeError(f"{operation.name} answers with nothing, not with {sorted(answer)}")
    metadata = ET.SubElement(root, "ResponseMetadata")
    ET.SubElement(metadata, "RequestId").text = _REQUEST_ID
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def encode_error(error: QueryError) -> bytes:
    """Return the XML of an error."""
    root = ET.Element("ErrorResponse")
    inner = ET.SubElement(root, "Error")
    for name, text in (("Type", "Sender"), ("Code", error.code), ("Message", error.message)):
        ET.SubElement(inner, name).text = text
    ET.SubElement(root, "RequestId").text = _REQUEST_ID
    text_of_all: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text_of_all


def _decode(shape: Shape, prefix: str, fields: Mapping[str, str], used: set[str]) -> Any:
    if isinstance(shape, StructureShape):
        found = {}
        for name, member in shape.members.items():
            place = f"{prefix}.{member.serialization.get('name', name)}" if prefix else name
            if any(field == place or field.startswith(f"{place}.") for field in fields):
                found[name] = _decode(member, place, fields, used)
            elif name in shape.required_members:
                raise QueryError("ValidationError", f"1 validation error detected: {place} must not be null")
        return found
    if isinstance(shape, ListShape):
        items: list[Any] = []
        if fields.get(prefix) == "":
            used.add(prefix)
            return items
        while any(
            field == (place := f"{prefix}.member.{len(items) + 1}") or field.startswith(f"{place}.") for field in fields
        ):
            items.append(_decode(shape.member, place, fields, used))
        return items
    used.add(prefix)
    return _decode_scalar(shape, prefix, fields[prefix])


def _decode_scalar(shape: Shape, place: str, text: str) -> Any:
    if isinstance(shape, StringShape):
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", len(text))
        if not low <= len(text) <= high:
            raise QueryError("ValidationError", f"{place} must have {low} to {high} characters")
        if shape.enum and text not in shape.enum:
            raise QueryError("ValidationError", f"{place} must be one of {shape.enum}")
        return text
    if shape.type_name == "boolean":
        return text == "true"
    if shape.type_name in {"integer", "long"}:
        return int(text)
    if shape.type_name == "timestamp":
        return dt.datetime.fromisoformat(text)
    return text


def _encode(shape: Shape, value: Any, element: ET.Element, place: str) -> None:
    if isinstance(shape, StructureShape):
        unknown = sorted(value.keys() - shape.members.keys())
        if unknown:
            raise ShapeError(f"{place} has no {', '.join(unknown)}")
        for name, inner in value.items():
            member = shape.members[name]
            if inner is not None:
                child = ET.SubElement(element, member.serialization.get("name", name))
                _encode(member, inner, child, f"{place}.{name}")
    elif isinstance(shape, ListShape):
        for inner in value:
            _encode(shape.member, inner, ET.SubElement(element, "member"), f"{place}[]")
    else:
        element.text = _encode_scalar(shape, value, place)


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "double": (int, float),
    "timestamp": (dt.datetime,),
}


def _encode_scalar(shape: Shape, value: Any, place: str) -> str:
    if not isinstance(value, _TYPES[shape.type_name]):
        raise ShapeError(f"{place} is a {shape.type_name}, not {value!r}")
    if isinstance(shape, StringShape):
        text = str(value)
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", len(text))
        if (shape.enum and text not in shape.enum) or not low <= len(text) <= high:
            raise ShapeError(f"{place} cannot be {text!r}")
        return text
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return str(value)
