"""Stubs of the handlers that a service still lacks."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymacaron.codegen.insertion import add_to_module, bound_names, choose_names, is_open, write_imports
from pymacaron.codegen.model_types import PLAIN_TYPES, ModelTypes, literal
from pymacaron.codegen.signature import Side, Signature, describe_operation, summarize, write_docstring, write_function
from pymacaron.spec.naming import snake_case

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation

_ERROR = ("pymacaron", "NotImplementedYetError")


@dataclass(frozen=True, slots=True)
class WantedHandler:
    """A function that an operation needs.

    module: where it is looked for; "" is any of the service's modules of handlers. names: what it may be called, the
    name of a new one first.
    """

    operation: Operation
    module: str
    names: tuple[str, ...]


def list_handlers(api: Api) -> list[WantedHandler]:
    """Return the function that each operation of *api* needs, one for those that share it."""
    wanted: dict[tuple[str, str], WantedHandler] = {}
    for operation in api.operations:
        module, _, name = (operation.handler or operation.operation_id).rpartition(".")
        plain = snake_case(name)
        is_named = bool(module) and name.isidentifier() and name.isascii()
        names = (name, plain) if is_named else (plain, name)
        wanted.setdefault((module, names[0]), WantedHandler(operation, module, names))
    return list(wanted.values())


def find_missing(text: str, handlers: Sequence[WantedHandler]) -> list[WantedHandler]:
    """Return those *handlers* that a module with *text* lacks; none if its text does not tell all of its names.

    Raises: SyntaxError, ValueError: *text* is no Python.
    """
    tree = ast.parse(text)
    if is_open(tree):
        return []
    names = bound_names(tree)
    return [handler for handler in handlers if names.isdisjoint(handler.names)]


def add_stubs(text: str, stubs: Sequence[tuple[WantedHandler, ModelTypes, str]], *, title: str = "") -> str:
    """Return the module *text* with a function for each of *stubs*, which it lacks, at its end.

    stubs: with the types of its models, and the module to import those from. title: docstring of a new module.
    Raises: SyntaxError, ValueError: *text* is no Python, or could not stay as it is.
    """
    is_new = not text
    if is_new:
        text = f'"""{title}"""\n\nfrom __future__ import annotations\n'
    tree = ast.parse(text)
    own_names = {handler.names[0] for handler, _, _ in stubs}
    hidden = PLAIN_TYPES & (own_names | bound_names(tree))
    wanted = {_ERROR}
    described: list[tuple[WantedHandler, Signature, dict[tuple[str, str], tuple[str, str]]]] = []
    for handler, types, models in stubs:
        signature = describe_operation(handler.operation, types, Side.HANDLER).import_plain(hidden)
        places = {(module, name): (module or models, name) for module, name in signature.imports}
        described.append((handler, signature, places))
        wanted.update(places.values())
    names, missing = choose_names(tree, wanted, own_names)
    functions = []
    for handler, signature, places in described:
        own = {item: names[place] for item, place in places.items()}
        functions.append(_write_stub(handler, signature.rename(own), names[_ERROR]))
    imports = [*([""] if is_new else []), *write_imports(missing, names, is_grouped=is_new)]
    result_text = add_to_module(text, tree, imports, functions)
    ast.parse(result_text)
    return result_text


def _write_stub(handler: WantedHandler, signature: Signature, error: str) -> str:
    arguments = [str(signature.body)] if signature.body else []
    if signature.parameters:
        arguments += ["*", *map(str, signature.parameters)]
    lines = write_function(f"def {handler.names[0]}", arguments, signature.result.text)
    lines += write_docstring([summarize(handler.operation)], "    ")
    message = literal(f"{handler.names[0]} is still to be written")
    return "\n".join([*lines, f"    raise {error}({message})"])
