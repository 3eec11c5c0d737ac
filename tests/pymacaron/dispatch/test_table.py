"""The table finds what Flask's own router finds, or leaves the request to it."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect, Rule, UnicodeConverter

from pymacaron.dispatch import LeanRoute, RouteTable

SEGMENTS = ["a", "b", "ä", "", "<x>", "<y>", "<int:n>", "<path:rest>", "<z>.txt", "v-<w>"]
METHODS = ["GET", "POST", "OPTIONS"]

rules = st.lists(
    st.tuples(
        st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=4),
        st.lists(st.sampled_from(METHODS), min_size=1, max_size=2, unique=True),
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=7,
)
paths = st.lists(st.sampled_from(["a", "b", "ä", "", "1", "c.txt", "v-1", "%", "a b"]), min_size=1, max_size=5)


def build(written: list[tuple[str, list[str], bool, bool]]) -> Flask:
    """Return an app with rules of (rule, methods, is of a document, has strict slashes)."""
    app = Flask("app", static_folder=None)
    app.url_map.merge_slashes = False
    for number, (rule, methods, is_ours, is_strict) in enumerate(written):
        endpoint = f"{'ours' if is_ours else 'theirs'}-{number}"
        app.add_url_rule(rule, endpoint, lambda: "", methods=methods, strict_slashes=is_strict)
    return app


def compile_table(app: Flask) -> RouteTable:
    """Return the table of *app* in which rules with ``ours`` in their endpoint are operations."""

    def make_route(rule: Rule, names: tuple[str, ...]) -> LeanRoute | None:
        return LeanRoute(rule, lambda _context: "", None, names) if rule.endpoint.startswith("ours") else None

    return RouteTable(app, make_route)


def ask_flask(app: Flask, method: str, path: str) -> tuple[Any, Any] | None:
    """Return rule and values of Flask's router, None where it has none."""
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
    }
    try:
        return app.url_map.bind_to_environ(environ).match(return_rule=True)
    except (HTTPException, RequestRedirect):
        return None


@settings(max_examples=200, deadline=None)
@given(rules, st.lists(st.tuples(st.sampled_from([*METHODS, "HEAD", "PUT"]), paths), min_size=1, max_size=12))
def test_the_table_agrees_with_flask(
    written: list[tuple[list[str], list[str], bool, bool]], asked: list[tuple[str, list[str]]]
) -> None:
    """What the table finds is what Flask finds, for rules of all kinds in any order."""
    unique: list[tuple[str, list[str], bool, bool]] = []
    for segments, methods, is_ours, is_strict in written:
        names = [name for segment in segments for name in "xynzw" if f"{name}>" in segment]
        is_last_path = all("path" not in segment for segment in segments[:-1])
        if len(names) == len(set(names)) and is_last_path:
            unique.append(("/" + "/".join(segments), methods, is_ours, is_strict))
    app = build(unique)
    table = compile_table(app)
    for method, parts in asked:
        path = ("/" + "/".join(parts)).encode().decode("latin-1")
        found = table.find(method, path)
        if found is not None:
            assert (found[0].rule, found[1]) == ask_flask(app, method, path)


@pytest.mark.parametrize(
    ("method", "path", "endpoint", "values"),
    [
        ("GET", "/pets", "ours-0", {}),
        ("HEAD", "/pets", "ours-0", {}),
        ("GET", "/pets/7", "ours-1", {"p0": "7"}),
        ("GET", "/pets/7/toys/b%C3%A4ll", "ours-2", {"p0": "7", "p1": "bäll"}),
        ("GET", "/pets/mine", "ours-3", {}),
        ("GET", "/pets/first", None, None),
        ("POST", "/pets/first", None, None),
        ("POST", "/pets/second", "ours-6", {"p0": "second"}),
        ("OPTIONS", "/pets", None, None),
        ("POST", "/pets", None, None),
        ("GET", "/pets/", None, None),
        ("GET", "/static/x/y", None, None),
        ("GET", "/files/a.txt", None, None),
        ("GET", "/toys/7", None, None),
        ("GET", "/toys/ball", None, None),
        ("GET", "/", None, None),
        ("GET", "/pets/\xff", None, None),
    ],
)
def test_what_the_table_finds(method: str, path: str, endpoint: str | None, values: dict[str, str] | None) -> None:
    """Operations are found, their HEAD too; what may be another rule's is left to Flask."""
    app = build(
        [
            ("/pets", ["GET"], True, True),
            ("/pets/<p0>", ["GET"], True, True),
            ("/pets/<p0>/toys/<p1>", ["GET"], True, True),
            ("/pets/mine", ["GET"], True, True),
            ("/pets/first", ["GET"], False, True),
            ("/static/<path:name>", ["GET"], False, True),
            ("/pets/<p0>", ["POST"], True, True),
            ("/files/<p0>.txt", ["GET"], True, True),
            ("/toys/<p0>", ["GET"], True, True),
            ("/toys/<int:number>", ["GET"], False, True),
        ]
    )
    wsgi_path = path.replace("%C3%A4", "Ã¤")
    found = compile_table(app).find(method, wsgi_path)
    assert (None if found is None else (found[0].rule.endpoint, found[1])) == (
        None if endpoint is None else (endpoint, values)
    )


def test_rules_that_take_any_method() -> None:
    """A rule without methods belongs to whoever was there first."""
    app = build([("/a", ["GET"], True, True)])
    app.url_map.add(Rule("/a", endpoint="theirs-any"))
    app.url_map.add(Rule("/b", endpoint="theirs-b"))
    app.add_url_rule("/b", "ours-b", lambda: "", methods=["GET"])
    table = compile_table(app)
    found = table.find("GET", "/a")
    assert found is not None
    assert found[0].rule.endpoint == "ours-0"
    assert table.find("PUT", "/a") is None
    assert table.find("GET", "/b") is None


def test_a_default_converter_of_the_apps_own() -> None:
    """Where a variable may mean something else, nothing is found here."""

    class Upper(UnicodeConverter):
        def to_python(self, value: str) -> str:
            return value.upper()

    app = Flask("app", static_folder=None)
    app.url_map.converters["default"] = Upper
    app.add_url_rule("/a", "ours-a", lambda: "")
    assert compile_table(app).find("GET", "/a") is None
