"""What an operation looks like as a Python function: of a handler, and of a client."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from pymacaron.codegen.insertion import LINE_LENGTH, rename_types
from pymacaron.codegen.model_types import ANY, NONE, FieldType, ModelTypes, TypeText, join_types, plain_type
from pymacaron.item_streams import is_event_stream, is_json_lines, is_json_sequence
from pymacaron.spec.media_types import essence_of

if TYPE_CHECKING:
    from pymacaron.spec import Body, Media, Operation, Parameter
    from pymacaron.spec import Response as DeclaredResponse

_BYTES = plain_type("bytes")
_TEXT = plain_type("str")
_KINDS = {
    "int": {"int", "float"},
    "float": {"float"},
    "str": {"str", "Literal"},
    "bool": {"bool"},
    "NoneType": {"None"},
}


class Side(Enum):
    """Who writes the function: the service that is called, or the caller."""

    HANDLER = "handler"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Argument:
    """One parameter of a function. default: Python text, None where it must be given."""

    name: str
    type: TypeText
    default: str | None
    description: str = ""

    def __str__(self) -> str:
        """Return it as it stands in a signature."""
        return f"{self.name}: {self.type.text}" + ("" if self.default is None else f" = {self.default}")


@dataclass(frozen=True, slots=True)
class Signature:
    """A function for one operation. body: what comes first. parameters: by keyword."""

    operation: Operation
    body: Argument | None
    parameters: tuple[Argument, ...]
    result: TypeText

    @property
    def imports(self) -> frozenset[tuple[str, str]]:
        """Everything that its types use, as in TypeText."""
        arguments = [*([self.body] if self.body else []), *self.parameters]
        return self.result.imports.union(*(argument.type.imports for argument in arguments))

    def import_plain(self, hidden: frozenset[str]) -> Signature:
        """Return the same, with those types of Python itself imported that are *hidden* where the function stands."""
        arguments = [*([self.body] if self.body else []), *self.parameters]
        texts = [self.result.text, *(argument.type.text for argument in arguments)]
        used = {node.id for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        imports = frozenset(("builtins", name) for name in used & hidden)
        return replace(self, result=replace(self.result, imports=self.result.imports | imports))

    def rename(self, names: Mapping[tuple[str, str], str]) -> Signature:
        """Return the same with other names for what its types import, (module, name) -> name."""
        plain = {name: names[module, name] for module, name in self.imports if (module, name) in names}

        def change(kind: TypeText) -> TypeText:
            return replace(kind, text=rename_types(kind.text, plain))

        return replace(
            self,
            body=replace(self.body, type=change(self.body.type)) if self.body else None,
            parameters=tuple(replace(argument, type=change(argument.type)) for argument in self.parameters),
            result=change(self.result),
        )


def describe_operation(operation: Operation, types: ModelTypes, side: Side) -> Signature:
    """Return the signature of *operation* on one *side* of the connection."""
    fields = types.fields_of(operation.parameters_model)
    parameters = [_argument(parameter, fields.get(parameter.keyword), side) for parameter in operation.parameters]
    body = _body(operation.body, types, side) if operation.body else None
    return Signature(operation, body, tuple(parameters), _result(operation, types, side))


def _argument(parameter: Parameter, field: FieldType | None, side: Side) -> Argument:
    if parameter.is_file:
        file_type = _file_type(parameter, side)
        return _optional(parameter, file_type)
    if field is None:
        return _optional(parameter, ANY)
    if parameter.is_required:
        return Argument(parameter.keyword, field.type, None, parameter.description)
    default = field.default if field.default is not None and _fits(field) else None
    if default is None and side is Side.HANDLER and field.default != "None" and "default" in parameter.schema:
        # Handlers always get the default.
        return Argument(parameter.keyword, field.type, None, parameter.description)
    if default is None:
        return _optional(parameter, field.type)
    return Argument(parameter.keyword, field.type, default, parameter.description)


def _optional(parameter: Parameter, kind: TypeText) -> Argument:
    if parameter.is_required:
        return Argument(parameter.keyword, kind, None, parameter.description)
    if not kind.is_optional:
        kind = join_types([kind, NONE])
    return Argument(parameter.keyword, kind, "None", parameter.description)


def _fits(field: FieldType) -> bool:
    """Tell whether a type checker takes the default for a value of the type."""
    value = field.default or ""
    if value == "None":
        return field.type.is_optional
    if value in {"True", "False"}:
        kind = "bool"
    else:
        kind = "str" if value[0] in "'\"" else "float" if any(mark in value for mark in ".en") else "int"
    return bool(_KINDS[kind] & field.type.kinds)


def _file_type(parameter: Parameter, side: Side) -> TypeText:
    file = (
        plain_type("FileStorage", "werkzeug.datastructures")
        if side is Side.HANDLER
        else plain_type("FileContent", "pymacaron.client")
    )
    if parameter.schema.get("type") == "array":
        return TypeText(f"list[{file.text}]", file.imports)
    return file


def _body(body: Body, types: ModelTypes, side: Side) -> Argument:
    kinds = [kind for media in body.media for kind in _body_types(media, types, side)] or [ANY]
    is_model = any(media.is_json and media.model_name for media in body.media)
    if body.is_required or (side is Side.HANDLER and body.is_object_if_absent and is_model):
        return Argument("body", join_types(kinds), None)
    return Argument("body", join_types([*kinds, NONE]), "None" if side is Side.CLIENT else None)


def _body_types(media: Media, types: ModelTypes, side: Side) -> list[TypeText]:
    if media.is_json or media.is_form:
        return [types.of_model(media.model_name)]
    if _is_stream(essence_of(media.media_type)) and (media.item_schema is not None or media.schema is not None):
        item = types.of_model(media.item_model_name)
        return [TypeText(f"list[{item.text}]", item.imports, frozenset({"list"}))]
    if essence_of(media.media_type).startswith("text/"):
        return [_TEXT]
    if essence_of(media.media_type) == "*/*":
        return [ANY]
    return [_BYTES] if side is Side.HANDLER else [_BYTES, TypeText("IO[bytes]", frozenset({("typing", "IO")}))]


def _result(operation: Operation, types: ModelTypes, side: Side) -> TypeText:
    successes = [response for response in operation.responses if response.status.startswith("2")]
    successes = successes or [response for response in operation.responses if response.status.lower() == "default"]
    results = []
    for index, response in enumerate(successes):
        kind = _answer_type(response, types, side)
        if side is Side.HANDLER:
            kind = _with_status(kind, response, is_first=index == 0)
        results.append(kind)
    return join_types(results or [NONE])


def _with_status(kind: TypeText, response: DeclaredResponse, *, is_first: bool) -> TypeText:
    """Return what a handler returns: a tuple where it has to say more than the value."""
    has_headers = any(header.get("required") is True for header in response.headers.values())
    if has_headers:
        return TypeText(f"tuple[{kind.text}, int, dict[str, str]]", kind.imports)
    return kind if is_first else TypeText(f"tuple[{kind.text}, int]", kind.imports)


def _answer_type(response: DeclaredResponse, types: ModelTypes, side: Side) -> TypeText:
    return join_types([_media_type(media, types, side) for media in response.media] or [NONE])


def _media_type(media: Media, types: ModelTypes, side: Side) -> TypeText:
    essence = essence_of(media.media_type)
    if _is_stream(essence) or media.item_schema is not None:
        return _stream_type(media, types, side)
    if media.is_json:
        return types.of_model(media.model_name)
    if essence.startswith("text/"):
        return _TEXT
    if essence.startswith("*"):
        return ANY
    schema = media.schema or {}
    return _TEXT if schema.get("type") == "string" and schema.get("format") != "binary" else _BYTES


def _is_stream(essence: str) -> bool:
    return is_event_stream(essence) or is_json_lines(essence) or is_json_sequence(essence)


def _stream_type(media: Media, types: ModelTypes, side: Side) -> TypeText:
    if side is Side.HANDLER:
        return TypeText("Iterator[Any]", ANY.imports | {("collections.abc", "Iterator")})
    stream = ("pymacaron.client", "Stream")
    if media.item_model_name:
        item = types.of_model(media.item_model_name)
    elif is_event_stream(essence_of(media.media_type)):
        item = plain_type("ReceivedEvent", "pymacaron.client")
    else:
        item = ANY if _is_stream(essence_of(media.media_type)) else _BYTES
    return TypeText(f"Stream[{item.text}]", item.imports | {stream})


def write_function(start: str, arguments: Sequence[str], result: str) -> list[str]:
    """Return the lines of ``def name(arguments) -> result:``, broken where they are too long; start: ``def name``."""
    line = f"{start}({', '.join(arguments)}) -> {result}:"
    if len(line) <= LINE_LENGTH:
        return [line]
    indent = " " * (len(start) - len(start.lstrip()))
    inner = f"{indent}    {', '.join(arguments)}"
    is_short = len(inner) <= LINE_LENGTH
    lines = [inner] if is_short else [f"{indent}    {argument}," for argument in arguments]
    return [f"{start}(", *lines, f"{indent}) -> {result}:"]


def write_docstring(paragraphs: Iterable[str], indent: str) -> list[str]:
    """Return a docstring of *paragraphs*, lines of a document's own words, as lines of Python that mean just that."""
    lines: list[str] = []
    for paragraph in paragraphs:
        words = _printable(paragraph).split()
        lines += textwrap.wrap(
            " ".join(words), LINE_LENGTH - len(indent) - 8, break_long_words=False, break_on_hyphens=False
        ) or [""]
    escaped = [line.replace("\\", "\\\\").replace('"""', '\\"\\"\\"') for line in lines]
    if not escaped:
        return []
    if escaped[-1].endswith('"'):
        escaped[-1] = f'{escaped[-1][:-1]}\\"'
    if len(escaped) == 1:
        return [f'{indent}"""{escaped[0]}"""']
    return [f'{indent}"""{escaped[0]}', *(f"{indent}{line}".rstrip() for line in escaped[1:]), f'{indent}"""']


def summarize(operation: Operation) -> str:
    """Return the operation's summary, else the first line of its description, else its method and path."""
    for text in (operation.summary, operation.description):
        line = next((line.strip() for line in _printable(text).splitlines() if line.strip()), "")
        if line:
            return line if line[-1] in ".!?" else f"{line}."
    return f"{operation.method} {_printable(operation.path)}."


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text)
