"""Which operation a request goes to: one lookup for a static path, a walk down a tree of segments for a template.

The answer is Flask's own, or none: wherever a rule that is no operation's might be the one, Flask decides.
Source: Werkzeug's ``StateMachineMatcher``, whose order this keeps: static segments before variable ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from werkzeug.routing import UnicodeConverter

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.routing import Rule

    from pymacaron.dispatch.contexts import LeanContext
    from pymacaron.spec import Operation

_VARIABLE = re.compile(r"<([A-Za-z_][A-Za-z0-9_]*)>")

Found = tuple["LeanRoute", dict[str, Any]]


@dataclass(frozen=True, slots=True)
class LeanRoute:
    """An operation at a rule of Flask's.

    handle: called with the context; returns what a view function may return. view: what Flask has as view function.
    """

    rule: Rule
    handle: Callable[[LeanContext], object]
    operation: Operation | None = None
    names: tuple[str, ...] = ()
    view: object = None


@dataclass(slots=True)
class _Node:
    """What may follow a part of a path. is_open: a rule goes on from here in a way that only Flask understands."""

    static: dict[str, _Node] = field(default_factory=dict)
    variable: _Node | None = None
    is_open: bool = False
    methods: dict[str, LeanRoute | None] = field(default_factory=dict)
    takes_any_method: bool = False


class _FlaskDecidesError(Exception):
    """Raised where the walk meets what is not for this table."""


class RouteTable:
    """The operations among the rules of an app."""

    def __init__(self, app: Flask, make_route: Callable[[Rule, tuple[str, ...]], LeanRoute | None]) -> None:
        """Compile the rules of *app*. make_route: returns the route of a rule with its variables, None if Flask's."""
        self._static: dict[str, Mapping[str, LeanRoute | None]] = {}
        self._root = _Node()
        is_usual = app.url_map.converters["default"] is UnicodeConverter
        for rule in app.url_map.iter_rules():
            is_reached = not rule.rule.startswith("//")  # Werkzeug takes all slashes that a path begins with for one
            if is_reached and not rule.build_only and not rule.websocket:
                self._add(rule, make_route, is_usual=is_usual)

    def find(self, method: str, path: str) -> Found | None:
        """Return the operation that a request to *path* (as WSGI has it) goes to; None: ask Flask."""
        methods = self._static.get(path)
        if methods is not None:
            route = methods.get(method)
            return (route, {}) if route is not None else None
        if not path.isascii():
            try:
                path = path.encode("latin-1").decode()
            except UnicodeDecodeError:
                return None
        values: list[str] = []
        try:
            found = _walk(self._root, path.split("/"), 1, method, values)
        except _FlaskDecidesError:
            return None
        return None if found is None else (found, dict(zip(found.names, values, strict=True)))

    def _add(
        self, rule: Rule, make_route: Callable[[Rule, tuple[str, ...]], LeanRoute | None], *, is_usual: bool
    ) -> None:
        node, names = self._root, []
        is_simple = is_usual and not (rule.subdomain or rule.defaults or rule.redirect_to or rule.alias)
        for segment in rule.rule.split("/")[1:]:
            variable = _VARIABLE.fullmatch(segment)
            if not is_simple or ("<" in segment and variable is None):
                node.is_open = True
                return
            if variable is not None:
                names.append(variable[1])
                node.variable = node = node.variable or _Node()
            else:
                node = node.static.setdefault(segment, _Node())
        node.is_open |= not rule.strict_slashes
        route = make_route(rule, tuple(names))
        if rule.methods is None:
            node.takes_any_method = True
        for method in rule.methods or ():
            is_flasks = method == "OPTIONS" and getattr(rule, "provide_automatic_options", False)
            node.methods.setdefault(method, None if is_flasks or node.takes_any_method else route)
        if not names:
            self._static[rule.rule.encode().decode("latin-1")] = node.methods


def _walk(node: _Node, parts: list[str], index: int, method: str, values: list[str]) -> LeanRoute | None:
    """Return the route at the end of *parts*, from *index* on; *values* grows with what stands for variables."""
    if index == len(parts):
        if method in node.methods:
            return _or_flask(node.methods[method])
        if node.takes_any_method or "" in node.static:
            raise _FlaskDecidesError
        return None
    part = parts[index]
    following = node.static.get(part)
    if following is not None:
        found = _walk(following, parts, index + 1, method, values)
        if found is not None:
            return found
    if node.is_open:
        raise _FlaskDecidesError
    if node.variable is None or not part:
        return None
    values.append(part)
    found = _walk(node.variable, parts, index + 1, method, values)
    if found is None:
        values.pop()
    return found


def _or_flask(route: LeanRoute | None) -> LeanRoute:
    if route is None:
        raise _FlaskDecidesError
    return route
