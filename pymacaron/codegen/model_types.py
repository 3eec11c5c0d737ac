"""The types that a generated module of models has, as text for signatures in other modules."""

from __future__ import annotations

import ast
import builtins
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from pydantic import AwareDatetime

from pymacaron import formats
from pymacaron.codegen.generate import NAMES

_TYPING = frozenset({"Any", "Literal"})
_COLLECTIONS = {"List": "list", "Dict": "dict", "Set": "set", "Tuple": "tuple"}


@dataclass(frozen=True, slots=True)
class TypeText:
    """A type as Python writes it. imports: (module, name) of what it uses; module "" is the module of models.

    kinds: names of the plain types that its values have, ``int``, ``str``, ``Literal``, ``None``, as far as they are
    known.
    """

    text: str
    imports: frozenset[tuple[str, str]] = frozenset()
    kinds: frozenset[str] = frozenset()

    @property
    def is_optional(self) -> bool:
        """Tell whether None is one of its values."""
        return "None" in self.kinds or self.text == "Any"


# Types of Python itself that signatures use, and that a function of the same name would hide.
PLAIN_TYPES = frozenset({"bool", "bytes", "dict", "float", "int", "list", "object", "set", "str", "tuple"})
ANY = TypeText("Any", frozenset({("typing", "Any")}))
NONE = TypeText("None", kinds=frozenset({"None"}))


def plain_type(name: str, module: str = "") -> TypeText:
    """Return the type *name*, of Python itself or imported from *module*."""
    return TypeText(name, frozenset({(module, name)}) if module else frozenset(), frozenset({name}))


def join_types(types: Iterable[TypeText]) -> TypeText:
    """Return the union, each part once, None last; Any is all of them."""
    parts = list(dict.fromkeys(types))
    if any(part.text == "Any" for part in parts):
        return ANY
    parts.sort(key=lambda part: part.text == "None")
    return TypeText(
        " | ".join(dict.fromkeys(part.text for part in parts)) or "None",
        frozenset(name for part in parts for name in part.imports),
        frozenset(kind for part in parts for kind in part.kinds),
    )


@dataclass(frozen=True, slots=True)
class FieldType:
    """One field of a model. default: Python text of a plain value, None where there is none."""

    type: TypeText
    default: str | None


class ModelTypes:
    """Types of one module of models, read from its text without running it."""

    def __init__(self, text: str, *, is_importable: bool) -> None:
        """Take the generated *text*; is_importable: other modules can import it, else every model is Any."""
        self._is_importable = is_importable
        self._classes: dict[str, ast.ClassDef] = {}
        self._aliases: dict[str, ast.expr] = {}
        self._imported: dict[str, str] = {}
        self._names: Mapping[str, str] = {}
        for node in ast.parse(text).body:
            self._read(node)

    def _read(self, node: ast.stmt) -> None:
        if isinstance(node, ast.ClassDef):
            self._classes[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            self._imported.update({alias.asname or alias.name: node.module or "" for alias in node.names})
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name == NAMES:
                self._names = ast.literal_eval(node.value)
            elif isinstance(node.value, ast.Call) and len(node.value.args) > 1:
                self._aliases[name] = node.value.args[1]

    def of_model(self, schema: str | None) -> TypeText:
        """Return the type of the schema called *schema*; Any where it has no model."""
        name = self._names.get(schema or "", schema or "")
        if name in self._classes and self._is_importable:
            return TypeText(name, frozenset({("", name)}))
        if name in self._aliases:
            return self._render(ast.Name(name))
        return ANY

    def fields_of(self, schema: str | None) -> dict[str, FieldType]:
        """Return the fields of the model called *schema*, by the names that JSON has for them."""
        definition = self._classes.get(self._names.get(schema or "", schema or ""))
        fields: dict[str, FieldType] = {}
        for node in definition.body if definition else ():
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name = _find_alias(node.annotation) or node.target.id
                fields[name] = FieldType(self._render(node.annotation), _plain_text(node.value))
        return fields

    def _render(self, node: ast.expr) -> TypeText:
        if isinstance(node, ast.Constant):
            if node.value is None:
                return NONE
            return self._render(ast.parse(str(node.value), mode="eval").body) if isinstance(node.value, str) else ANY
        if isinstance(node, ast.Name):
            return self._render_name(node.id)
        if isinstance(node, ast.BinOp):
            return join_types([self._render(node.left), self._render(node.right)])
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            return self._render_subscript(node.value.id, node.slice)
        return ANY

    def _render_name(self, name: str) -> TypeText:
        if name in self._aliases:
            inner = self._render(self._aliases[name]) if not self._is_recursive(name) else ANY
            if not self._is_importable:
                return inner
            return TypeText(name, frozenset({("", name)}), inner.kinds)
        if name in self._classes:
            return TypeText(name, frozenset({("", name)})) if self._is_importable else ANY
        if name in _TYPING:
            return ANY if name == "Any" else TypeText(name, frozenset({("typing", name)}))
        if self._imported.get(name) == formats.__name__:
            return _render_format(name)
        name = _COLLECTIONS.get(name, name)
        return plain_type(name) if hasattr(builtins, name) else ANY

    def _is_recursive(self, name: str) -> bool:
        """Tell whether an alias contains itself; what is inside of it then says nothing."""
        waiting: list[str] = [name]
        seen: set[str] = set()
        while waiting:
            current = waiting.pop()
            inner = {node.id for node in ast.walk(self._aliases[current]) if isinstance(node, ast.Name)}
            if name in inner:
                return True
            new = (inner & set(self._aliases)) - seen
            seen |= new
            waiting += sorted(new)
        return False

    def _render_subscript(self, name: str, inner: ast.expr) -> TypeText:
        parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if name == "Annotated":
            return self._render(parts[0])
        if name == "Literal":
            values = ", ".join(_literal(part.value) for part in parts if isinstance(part, ast.Constant))
            kinds = {"Literal"} | {"None" for part in parts if isinstance(part, ast.Constant) and part.value is None}
            return TypeText(f"Literal[{values}]", frozenset({("typing", "Literal")}), frozenset(kinds))
        if name in {"Optional", "Union"}:
            return join_types([*map(self._render, parts), *([NONE] if name == "Optional" else [])])
        outer = self._render_name(name)
        if outer.text == "Any":
            return ANY
        rendered = list(map(self._render, parts))
        imports = outer.imports.union(*(part.imports for part in rendered))
        return TypeText(f"{outer.text}[{', '.join(part.text for part in rendered)}]", imports, frozenset({outer.text}))


def _render_format(name: str) -> TypeText:
    """Return what type checkers take for a type of `pymacaron.formats`."""
    base = next(iter(get_args(getattr(formats, name, None))), None)
    if base is AwareDatetime:
        base = datetime
    if not isinstance(base, type):
        return ANY
    return plain_type(base.__name__, "" if base.__module__ == "builtins" else base.__module__)


def literal(text: str) -> str:
    """Return *text* as a Python string, in double quotes where that needs no other escapes than JSON's."""
    return json.dumps(text) if text.isascii() and text.isprintable() else repr(text)


def _literal(value: object) -> str:
    return literal(value) if isinstance(value, str) else repr(value)


def _plain_text(node: ast.expr | None) -> str | None:
    """Return a default as text if it is a number, a text, a boolean or None."""
    is_negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    constant = node.operand if isinstance(node, ast.UnaryOp) and is_negative else node
    if not isinstance(constant, ast.Constant) or not isinstance(constant.value, (str, int, float, type(None))):
        return None
    return f"{'-' if is_negative else ''}{_literal(constant.value)}"


def _find_alias(annotation: ast.expr) -> str | None:
    """Return what ``Field(alias=…)`` inside of an annotation says."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.keyword) and node.arg == "alias" and isinstance(node.value, ast.Constant):
            return str(node.value.value)
    return None
