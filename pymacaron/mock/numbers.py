"""Numbers that fit a schema, drawn at random from a given source."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

from pymacaron.json_types import JsonObject

# Source: OpenAPI format registry.
_INTEGERS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_WIDTH = 1000
_CENT = Fraction(1, 100)
_FINEST = 60


def sample_number(schema: JsonObject, rng: Random, *, is_integer: bool) -> int | float | None:
    """Return a number for *schema*, a flat one (see `flatten`); None if there is none between its bounds.

    Read are ``minimum``, ``maximum``, their exclusive kinds, ``formats`` and ``multiples`` (a list of ``multipleOf``).
    """
    step = _step([Fraction(str(number)) for number in schema.get("multiples", [])], is_integer=is_integer)
    least, most = _bounds(schema, is_integer=is_integer)
    if step is None:
        step = _CENT
        for _ in range(_FINEST):  # a narrow range has no hundredths in it
            if _first(schema, least, step) <= _last(schema, most, step):
                break
            step /= 10
    first, last = _first(schema, least, step), _last(schema, most, step)
    if first > last:
        return None
    number = rng.randint(first, last) * step
    return int(number) if is_integer else float(number)


def _step(multiples: list[Fraction], *, is_integer: bool) -> Fraction | None:
    """Return the number of which every result is a multiple, None where there is no such rule."""
    parts = [*multiples, Fraction(1)] if is_integer else multiples
    if not parts:
        return None
    numerator, denominator = 1, 0
    for part in parts:
        numerator = math.lcm(numerator, part.numerator)
        denominator = math.gcd(denominator, part.denominator)
    return Fraction(numerator, denominator)


def _bounds(schema: JsonObject, *, is_integer: bool) -> tuple[Fraction, Fraction]:
    """Return the least and the greatest number; where nothing bounds them, numbers that people use."""
    low = [Fraction(str(schema[key])) for key in ("minimum", "exclusiveMinimum") if key in schema]
    high = [Fraction(str(schema[key])) for key in ("maximum", "exclusiveMaximum") if key in schema]
    width = _WIDTH * max([Fraction(1), *(abs(Fraction(str(number))) for number in schema.get("multiples", []))])
    most = min(high, default=None)
    least = max(low, default=Fraction(1) if most is None or most >= 1 else most - width)
    most = least + width if most is None else min(most, least + width)
    for name in schema.get("formats", []) if is_integer else []:
        if name in _INTEGERS:
            least, most = max(least, Fraction(_INTEGERS[name][0])), min(most, Fraction(_INTEGERS[name][1]))
    return least, most


def _first(schema: JsonObject, least: Fraction, step: Fraction) -> int:
    number = math.ceil(least / step)
    excluded = schema.get("exclusiveMinimum")
    return number + 1 if excluded is not None and number * step <= Fraction(str(excluded)) else number


def _last(schema: JsonObject, most: Fraction, step: Fraction) -> int:
    number = math.floor(most / step)
    excluded = schema.get("exclusiveMaximum")
    return number - 1 if excluded is not None and number * step >= Fraction(str(excluded)) else number
