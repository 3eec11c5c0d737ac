"""Tests of `pymacaron.spec.yaml_text`."""

from __future__ import annotations

import pytest

from pymacaron.json_types import Json
from pymacaron.spec.yaml_text import YamlError, read_yaml, resolve_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("2026-01-31", "2026-01-31", id="date"),
        pytest.param("yes", "yes", id="yes"),
        pytest.param("on", "on", id="on"),
        pytest.param("12:30:45", "12:30:45", id="sexagesimal"),
        pytest.param("1_000", "1_000", id="underscore"),
        pytest.param(".inf", ".inf", id="infinity, which JSON lacks"),
        pytest.param("9" * 400, "9" * 400, id="very long number"),
        pytest.param("012", 12, id="leading zero is decimal"),
        pytest.param("0x1F", 31, id="hexadecimal"),
        pytest.param("-7", -7, id="integer"),
        pytest.param("1e999", "1e999", id="number that no float can hold"),
        pytest.param("1e3", 1000.0, id="exponent"),
        pytest.param(".5", 0.5, id="fraction"),
        pytest.param("True", True, id="boolean"),
        pytest.param("~", None, id="null"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_scalars(text: str, value: Json) -> None:
    """Plain scalars mean what YAML 1.2 says, not what YAML 1.1 said."""
    result = resolve_scalar(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        pytest.param("200: a\nyes: b\n1.0: c\n", {"200": "a", "yes": "b", "1.0": "c"}, id="keys are text"),
        pytest.param("a: '1'\nb: !!str 2\nc: !!int '3'\nd: ! 4\n", {"a": "1", "b": "2", "c": 3, "d": "4"}, id="tags"),
        pytest.param("a: &x {b: 1}\nc: *x\n", {"a": {"b": 1}, "c": {"b": 1}}, id="alias"),
        pytest.param("a: &x one\nb: [*x, *x]\n", {"a": "one", "b": ["one", "one"]}, id="alias of a scalar"),
        pytest.param(
            "a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  b: 3\n", {"a": {"b": 1, "c": 2}, "d": {"b": 3, "c": 2}}, id="merge"
        ),
        pytest.param(
            "a: &x {b: 1}\nc: &y {d: 2}\ne: {<<: [*x, *y]}\n",
            {"a": {"b": 1}, "c": {"d": 2}, "e": {"b": 1, "d": 2}},
            id="merge of two",
        ),
        pytest.param("<<: text\n", {"<<": "text"}, id="no merge"),
        pytest.param("", None, id="empty"),
        pytest.param("# only a comment\n", None, id="comment"),
        pytest.param("text", "text", id="scalar"),
        pytest.param("- - 1\n  - 2\n- {}\n", [[1, 2], {}], id="lists"),
    ],
)
def test_data(text: str, data: Json) -> None:
    """YAML becomes plain data."""
    result = read_yaml(text)
    assert result.data == data
    assert result.faults == []


def test_faults_that_do_not_stop_the_reading() -> None:
    """Keys that stand twice and unknown tags are all told, each with its line."""
    result = read_yaml("a: 1\nb:\n  c: 1\n  c: 2\na: !secret x\n")
    assert [(fault.line, fault.pointer, fault.found) for fault in result.faults] == [
        (4, "/b/c", "the key 'c' stands here twice"),
        (5, "/a", "the key 'a' stands here twice"),
        (5, "/a", "the YAML tag !secret has no meaning here"),
    ]


_NO_YAML = "this is no valid YAML: "
_NO_ALIAS = " is inside of what it stands for, or stands for nothing"
_BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(8)
)


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        pytest.param("a:\n\tb: 1\n", 2, "a tab indents this line, which YAML forbids", id="tab"),
        pytest.param(
            'a: 1\nb: "open\n',
            3,
            _NO_YAML + "while scanning a quoted scalar found unexpected end of stream",
            id="open quote",
        ),
        pytest.param("a: b: c\n", 1, _NO_YAML + "mapping values are not allowed in this context", id="two colons"),
        pytest.param("a: &a\n  b: *a\n", 2, "the alias *a" + _NO_ALIAS, id="alias in itself"),
        pytest.param("a: *b\n", 1, "the alias *b" + _NO_ALIAS, id="unknown alias"),
        pytest.param(_BOMB, 5, "aliases expand to more than 100000 nodes", id="bomb"),
        pytest.param("a:\n  " + "[" * 101, 2, "nesting is deeper than 100 levels", id="nesting"),
        pytest.param("? [a]\n: b\n", 1, "a list or mapping stands where a key must stand", id="list as key"),
        pytest.param("a: &x b\n*x : c\n", 2, "an alias stands where a key must stand", id="alias as key"),
        pytest.param("a: 1\n---\nb: 2\n", 2, "a second YAML document begins", id="two documents"),
    ],
)
def test_stops(text: str, line: int, found: str) -> None:
    """What cannot be read stops with one fault that names the line."""
    with pytest.raises(YamlError) as caught:
        read_yaml(text)
    assert (caught.value.fault.line, caught.value.fault.found) == (line, found)


@pytest.mark.parametrize(
    "text", [pytest.param("a: \x00", id="control character"), pytest.param("\ud800", id="half a character")]
)
def test_forbidden_characters(text: str) -> None:
    """Characters that YAML forbids are told as such."""
    with pytest.raises(YamlError, match="the text holds a character that YAML forbids"):
        read_yaml(text)


def test_lines() -> None:
    """Each pointer gets the line of its key, or of the item in its list."""
    lines: dict[str, int] = {}
    read_yaml("a:\n  - b: 1\n    c: 2\n  - d\n  - [e]\nf: {g: &x h}\ni:\n  - *x\n", lines)
    assert lines == {
        "": 1,
        "/a": 1,
        "/a/0": 2,
        "/a/0/b": 2,
        "/a/0/c": 3,
        "/a/1": 4,
        "/a/2": 5,
        "/a/2/0": 5,
        "/f": 6,
        "/f/g": 6,
        "/i": 7,
        "/i/0": 8,
    }
