"""Adds imports and functions to a module that somebody wrote, without touching what stands there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence

from pymacaron.spec.naming import unique_name

LINE_LENGTH = 120
# What Python takes for a line; str.splitlines knows more ends of lines.
_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_LIBRARY = frozenset({"builtins", "collections", "datetime", "decimal", "pathlib", "typing", "uuid"})


def bound_names(tree: ast.Module) -> frozenset[str]:
    """Return every name that the module binds at its top level, also inside of if, try, with and for."""
    names: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif not isinstance(node, ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return frozenset(names)


def is_open(tree: ast.Module) -> bool:
    """Tell whether the module may have more names than its text says: by ``import *`` or ``__getattr__``."""
    stars = (isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))
    return any(stars) or "__getattr__" in bound_names(tree)


def choose_names(
    tree: ast.Module, wanted: Iterable[tuple[str, str]], reserved: Iterable[str]
) -> tuple[dict[tuple[str, str], str], list[tuple[str, str]]]:
    """Return the name that each import has in the module, and those that are still missing.

    wanted: (module, name). A name that means something else there, or is *reserved*, gets another one.
    """
    present = {
        (node.module or "", alias.name): alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.level == 0
        for alias in node.names
    }
    taken = {*bound_names(tree), *reserved}
    names: dict[tuple[str, str], str] = {}
    missing = []
    for item in sorted(set(wanted)):
        if item in present:
            names[item] = present[item]
            continue
        names[item] = unique_name(item[1], taken, "_")
        taken.add(names[item])
        missing.append(item)
    return names, missing


def write_imports(
    wanted: Iterable[tuple[str, str]], names: Mapping[tuple[str, str], str], *, is_grouped: bool = False
) -> list[str]:
    """Return a ``from … import …`` for each module, in lines: those of Python's library first, relative ones last.

    is_grouped: with empty lines between these kinds.
    """
    by_module: dict[str, list[str]] = {}
    for item in sorted(set(wanted), key=lambda item: (item[0], _order(item[1]))):
        alias = names.get(item, item[1])
        by_module.setdefault(item[0], []).append(item[1] if alias == item[1] else f"{item[1]} as {alias}")
    ordered = sorted(by_module.items(), key=lambda entry: (_rank(entry[0]), entry[0]))
    lines: list[str] = []
    for index, (module, parts) in enumerate(ordered):
        if is_grouped and index and _rank(module) != _rank(ordered[index - 1][0]):
            lines.append("")
        line = f"from {module} import {', '.join(parts)}"
        if len(line) <= LINE_LENGTH:
            lines.append(line)
        else:
            lines += [f"from {module} import (", *(f"    {part}," for part in parts), ")"]
    return lines


def _order(name: str) -> tuple[int, str]:
    """Put constants before classes, and those before all else."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, name


def _rank(module: str) -> int:
    if module.startswith("."):
        return 2
    return 0 if module.partition(".")[0] in _LIBRARY else 1


def rename_types(text: str, names: Mapping[str, str]) -> str:
    """Return the type *text* with other names for what it imports; what stands in literals stays."""
    changed = {old: new for old, new in names.items() if old != new}
    if not changed:
        return text
    tree = ast.parse(text, mode="eval")
    places = [
        (node.col_offset, node.id) for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in changed
    ]
    data = text.encode()
    for place, name in sorted(places, reverse=True):
        data = data[:place] + changed[name].encode() + data[place + len(name) :]
    return data.decode()


def add_to_module(text: str, tree: ast.Module, imports: Sequence[str], functions: Sequence[str]) -> str:
    """Return *text* with *imports* behind its first block of imports, and *functions* at its end.

    tree: what *text* parses to. Raises: ValueError: the result would not hold all that *text* holds, in its order.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = _LINES.findall(text)
    place = max(_find_place(tree), _count_opening_comments(lines))
    head, tail = lines[:place], lines[place:]
    if head and not head[-1].endswith(("\r", "\n")):
        head[-1] += newline
    added = [line + newline for line in imports]
    if added and place and not _ends_with_import(tree):
        added.insert(0, newline)
    if added and tail and not _ends_with_import(tree) and tail[0].strip():
        added.append(newline)
    body = "".join([*head, *added, *tail])
    if body and not body.endswith(("\r", "\n")):
        body += newline
    result = body + "".join(f"{newline}{newline}{_with_newlines(function, newline)}" for function in functions)
    if not _holds(ast.parse(result), tree):
        raise ValueError("what it holds would change")
    return result


def _find_place(tree: ast.Module) -> int:
    """Return the number of lines before which no import goes: docstring and first block of imports."""
    place = 0
    for index, node in enumerate(tree.body):
        is_docstring = index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_docstring and not isinstance(node, (ast.Import, ast.ImportFrom)):
            break
        place = node.end_lineno or place
    return place


def _count_opening_comments(lines: Sequence[str]) -> int:
    """Return the number of lines that a file opens with and that stay first: ``#!``, its encoding, its licence."""
    count = 0
    while count < len(lines) and lines[count].startswith("#"):
        count += 1
    is_block = count == len(lines) or not lines[count].strip()
    return count if is_block else sum(1 for line in lines[: min(count, 2)] if line.startswith("#!") or "coding" in line)


def _ends_with_import(tree: ast.Module) -> bool:
    return any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in tree.body[:2])


def _with_newlines(function: str, newline: str) -> str:
    return newline.join(function.splitlines()) + newline


def _holds(result: ast.Module, original: ast.Module) -> bool:
    """Tell whether every statement of *original* is one of *result*, in the same order."""
    remaining = iter([ast.dump(node) for node in result.body])
    return all(any(wanted == found for found in remaining) for wanted in map(ast.dump, original.body))
