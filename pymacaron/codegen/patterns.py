r"""A ``pattern`` of JSON Schema, written so that Rust's and Python's engines match what ECMAScript matches.

Both would take ``\d`` and ``\w`` for the digits and letters of every script, Rust takes ``[`` and ``&&`` inside a class
for set operations, and Python's ``$`` also matches before a newline at the end.
Source: ECMA-262, section 22.2; JSON Schema 2020-12, core, section 6.4.
"""

from __future__ import annotations

import re

_SYMBOL = re.compile(r"\\.|.", re.DOTALL)
_LOOKAROUND = re.compile(r"\(\?<?[=!]")
_OUTSIDE = {r"\d": "[0-9]", r"\D": "[^0-9]", r"\w": "[A-Za-z0-9_]", r"\W": "[^A-Za-z0-9_]"}
_INSIDE = {r"\d": "0-9", r"\w": "A-Za-z0-9_", "[": r"\[", "&": r"\&", "~": r"\~"}
_END = r"(?![\s\S])"


def translate_pattern(pattern: str) -> str:
    """Return the regular expression that matches the same texts; it is searched for, not anchored."""
    outside = {**_OUTSIDE, "$": _END} if _LOOKAROUND.search(pattern) else _OUTSIDE
    written = []
    is_inside = False
    for symbol in _SYMBOL.findall(pattern):
        written.append((_INSIDE if is_inside else outside).get(symbol, symbol))
        if symbol == "[":
            is_inside = True
        elif symbol == "]":
            is_inside = False
    return "".join(written)
