"""Random values by hypothesis: the same ones for the same seed, and no files left behind.

Hypothesis' engine looks for values that make a test fail. Nothing fails here, so values are drawn without it, which
takes a third of the time and repeats none. That uses undocumented parts; where they are not as expected, the engine
draws.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import hypothesis
import hypothesis.configuration
import schemathesis
from hypothesis import strategies
from hypothesis.control import BuildContext
from hypothesis.errors import StopTest, Unsatisfiable, UnsatisfiedAssumption
from hypothesis.internal import lambda_sources
from hypothesis.internal.conjecture.choice import ChoiceTemplate
from hypothesis.internal.conjecture.data import ConjectureData
from schemathesis.generation.hypothesis import examples

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Value = TypeVar("Value")

_TRIES = 5
_MIN_TRIES = 40

# A format of OpenAPI's registry that schemathesis does not know: it would send any text.
schemathesis.openapi.format("decimal", strategies.from_regex(r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,4})?", fullmatch=True))


def draw_values(strategy: SearchStrategy[Value], count: int, seed: int) -> list[Value]:
    """Return up to *count* values.

    Raises: hypothesis.errors.HypothesisException: the strategy gives none.
    """
    return draw_directly(strategy, count, seed) if can_draw_directly() else draw_by_engine(strategy, count, seed)


def draw_directly(
    strategy: SearchStrategy[Value], count: int, seed: int, *, with_simplest: bool = False
) -> list[Value]:
    """Return what `draw_values` returns, without the engine; the simplest value first if wanted. Raises: as there."""
    source = random.Random(seed)  # noqa: S311 - test data
    drawn: list[Value] = []
    for number in range(max(count * _TRIES, _MIN_TRIES)):
        prefix = (ChoiceTemplate("simplest", count=None),) if with_simplest and number == 0 else ()
        data = ConjectureData(prefix=prefix, random=source)
        with (
            contextlib.suppress(StopTest, UnsatisfiedAssumption),
            BuildContext(data, wrapped_test=draw_directly),
        ):
            drawn.append(data.draw(strategy))
        if len(drawn) == count:
            break
    if not drawn:
        raise Unsatisfiable("no value was found")
    return drawn


def draw_by_engine(strategy: SearchStrategy[Value], count: int, seed: int) -> list[Value]:
    """Return what `draw_values` returns, by the engine: the simplest values first. Raises: as there."""
    drawn: list[Value] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        database=None,
        max_examples=count,
        deadline=None,
        derandomize=False,
        verbosity=hypothesis.Verbosity.quiet,
        phases=(hypothesis.Phase.generate,),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def collect(value: Value) -> None:
        drawn.append(value)

    collect()
    return drawn


@cache
def can_draw_directly() -> bool:
    """Tell whether the installed hypothesis has the parts that `draw_directly` uses."""
    try:
        return draw_directly(strategies.integers(), 1, 0, with_simplest=True) == [0]
    except Exception:  # noqa: BLE001 - whatever another version does, the engine remains
        return False


def _add_examples(strategy: SearchStrategy[Any], found: list[Any], _checks: object, count: int) -> None:
    """Take the place of the function by which schemathesis draws single values, hundreds of them an operation."""
    found += draw_directly(strategy, count, 0, with_simplest=True)


@contextlib.contextmanager
def quiet_hypothesis() -> Iterator[None]:
    """Keep hypothesis' files out of the working directory, its warnings out of the test run, and its costs low.

    Texts that describe strategies are not made: for each it would parse the source file with the strategy.
    """
    before = hypothesis.configuration.storage_directory(intent_to_write=False).home_directory
    folder = Path(tempfile.gettempdir()) / "pymacaron-hypothesis"
    hypothesis.configuration.set_hypothesis_home_dir(folder)
    try:
        with warnings.catch_warnings(), _replaced(lambda_sources, "lambda_description", lambda _: "lambda"):
            warnings.simplefilter("ignore")
            if can_draw_directly():
                with _replaced(examples, "_add_examples", _add_examples):
                    yield
            else:
                yield
    finally:
        hypothesis.configuration.set_hypothesis_home_dir(before)


@contextlib.contextmanager
def _replaced(module: object, name: str, value: object) -> Iterator[None]:
    """Have another function under *name* in *module* for a while, if there is one of that name."""
    original = getattr(module, name, None)
    if original is None:
        yield
        return
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, original)
