"""Refuses a generated module that would do more, when imported, than define models."""

from __future__ import annotations

import ast

from pymacaron.exceptions import Finding, SpecError

_STATEMENTS = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Pass)
_CALLS = frozenset({"Field", "ConfigDict", "TypeAliasType", "compile", "model_rebuild"})


def check_text(source: str, text: str) -> None:
    """Demand that *text* is Python made of imports, classes, annotated names, types and docstrings.

    source: the document that it was made from. Raises SpecError if it holds anything else.
    """
    try:
        found = _find_stranger(ast.parse(text))
    except (SyntaxError, ValueError) as error:
        found = str(error)
    if found:
        what = f"the models made from it are no safe Python: {found}"
        raise SpecError(Finding(source, what, "Use plainer names and values"))


def _find_stranger(tree: ast.Module) -> str:
    """Return the first thing that no model is made of, ``""`` if there is none."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for node in [*tree.body, *(node for definition in classes for node in definition.body)]:
        if not isinstance(node, _STATEMENTS) and not _is_harmless(node):
            return ast.unparse(node)
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return next((ast.unparse(node) for node in calls if _name_of(node.func) not in _CALLS), "")


def _is_harmless(node: ast.stmt) -> bool:
    """Tell whether a statement is a docstring or ``Class.model_rebuild()``."""
    if not isinstance(node, ast.Expr):
        return False
    if isinstance(node.value, ast.Call):
        return _name_of(node.value.func) == "model_rebuild"
    return isinstance(node.value, ast.Constant)


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id.removesuffix("_aliased") if isinstance(function, ast.Name) else ""
