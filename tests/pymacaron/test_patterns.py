"""Patterns mean what they mean in ECMAScript, to every engine that is asked."""

from __future__ import annotations

import time

import jsonschema_rs
import pytest
from pydantic_core import SchemaValidator, ValidationError, core_schema

from pymacaron.judge import judge_of
from pymacaron.patterns import is_linear, translate_pattern

CASES = [
    pytest.param("a$", ["a", "ba"], ["a\n"], id="the end is not before a newline"),
    pytest.param("b", ["abc"], ["ac"], id="unanchored"),
    pytest.param(r"^\d\d$", ["11"], ["\u0661\u0661", "1"], id="digits are ASCII"),
    pytest.param(r"^\D$", ["\u0661"], ["1"], id="all but digits"),
    pytest.param(r"^\w\W$", ["a-", "_\u00e9"], ["\u00e9-", "ab"], id="words are ASCII"),
    pytest.param("^.$", ["a", "\U0001f600", "\x85"], ["\u2028", "\n", "\r", "ab"], id="a dot is no newline"),
    pytest.param(r"^\s$", ["\ufeff", "\xa0", "\v"], ["\x85", "a"], id="white space"),
    pytest.param(r"^\S$", ["\x85", "a"], ["\ufeff", " "], id="no white space"),
    pytest.param(r"^[\W]$", ["\u00e9", "-", "[", "^", "`", "{"], ["a", "_", "Z", "0"], id="complement in a class"),
    pytest.param(r"^[^\D]$", ["1"], ["a"], id="complement of a complement"),
    pytest.param(r"^[\S]$", ["\x85", "a"], [" ", "\ufeff"], id="no white space in a class"),
    pytest.param(r"^[\d\w.-]$", ["1", "a", ".", "-"], ["\u00e9", "\\"], id="sets and signs in a class"),
    pytest.param("^[[a&&b~~c]$", ["[", "a", "&", "b", "~"], ["d"], id="no set operations"),
    pytest.param("^[[:alpha:]]$", ["a]", ":]", "[]"], ["z", "z]"], id="no POSIX classes"),
    pytest.param("^[+--]$", ["+", ",", "-"], ["."], id="a range to a hyphen"),
    pytest.param(r"^[a\]\\]$", ["a", "]", "\\"], ["b"], id="escapes in a class"),
    pytest.param("^[^]$", ["a", "\n"], [""], id="class of everything"),
    pytest.param("^[]$", [], ["a", ""], id="class of nothing"),
    pytest.param("^[~#@ ]$", ["~", "#", "@", " "], ["a"], id="signs that mean something elsewhere"),
    pytest.param(r"^\[\d\]$", ["[1]"], ["1"], id="escaped brackets"),
    pytest.param(r"^\\d$", ["\\d"], ["1"], id="escaped backslash"),
    pytest.param(r"^x\/\-\<\>$", ["x/-<>"], ["x"], id="needless escapes"),
    pytest.param("^a{,3}]}$", ["a{,3}]}"], ["aaa"], id="braces that count nothing"),
    pytest.param("^a{2,3}b{2}c{1,}$", ["aabbc"], ["abc"], id="braces that count"),
    pytest.param(r"^\u0061\x62\u{63}\cA\0\t$", ["abc\x01\x00\t"], ["abc"], id="characters by number"),
    pytest.param(r"^\ud83d\ude00$", ["\U0001f600"], ["a"], id="surrogate pair"),
    pytest.param("^\u00e9\n$", ["\u00e9\n"], ["e\n"], id="characters themselves"),
    pytest.param(r"^[\p{L}\d]\p{Script=Greek}$", ["\u00e9\u03b1", "1\u03b1"], ["-\u03b1", "1a"], id="properties"),
    pytest.param(r"\b\u00e9", ["a\u00e9"], ["\u00e9"], id="edge of a word"),
    pytest.param(r"\B\u00e9", ["\u00e9"], ["a\u00e9"], id="no edge of a word"),
    pytest.param(r"^[\b]$", ["\b"], ["b"], id="backspace"),
    pytest.param("^(?:(?!x).)*$", ["abc"], ["axc"], id="look-ahead"),
    pytest.param("(?<=a)b(?<!cb)$", ["ab"], ["b"], id="look-behind"),
    pytest.param(r"(x)(?<n>a)\k<n>\1(?:b)", ["xaaxb"], ["xab"], id="names in backreferences"),
]


@pytest.mark.parametrize(("pattern", "right", "wrong"), CASES)
def test_meaning(pattern: str, right: list[str], wrong: list[str]) -> None:
    """jsonschema-rs, and pydantic where it takes the pattern, match what ECMAScript matches."""
    judge = judge_of({}).compile({"pattern": pattern})
    assert ([text for text in right if not judge.is_valid(text)], [text for text in wrong if judge.is_valid(text)]) == (
        [],
        [],
    )
    if is_linear(pattern):
        model = SchemaValidator(core_schema.str_schema(pattern=translate_pattern(pattern)))
        for text in right:
            assert model.validate_python(text) == text
        for text in wrong:
            with pytest.raises(ValidationError):
                model.validate_python(text)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param("^[a-z0-9]+(?:-[a-z0-9]+)*$", "^[a-z0-9]+(?:-[a-z0-9]+)*$", id="as it is"),
        pytest.param(r"^\+?\d{1,3}$", r"^\+?[0-9]{1,3}$", id="digits"),
        pytest.param(r"^[\w.\-+]+@example\.com$", r"^[A-Za-z0-9_.\-+]+@example\.com$", id="class"),
    ],
)
def test_text(pattern: str, expected: str) -> None:
    """Ordinary patterns stay readable."""
    assert translate_pattern(pattern) == expected


@pytest.mark.parametrize("pattern", ["a(?=b)", r"(a)\1", r"\bx", r"a\Z", "(a{1000}){1000}"])
def test_not_linear(pattern: str) -> None:
    """What pydantic's engine does not take is left to the other one."""
    assert not is_linear(pattern)


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(?=a)(a+)+$", r"^(a|aa)+\b$(?!b)"])
def test_time_is_bounded(pattern: str) -> None:
    """A text that is made to waste time is refused soon."""
    judge: jsonschema_rs.Draft202012Validator = judge_of({}).compile({"pattern": pattern})
    started = time.perf_counter()
    assert not judge.is_valid("a" * 5000 + "c")
    assert time.perf_counter() - started < 5  # backtracking would take years
