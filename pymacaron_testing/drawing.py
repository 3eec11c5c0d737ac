"""Random values by hypothesis: the same ones for the same seed, and no files left behind."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import hypothesis
import hypothesis.configuration
import schemathesis
from hypothesis import strategies

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Value = TypeVar("Value")

# A format of OpenAPI's registry that schemathesis does not know: it would send any text.
schemathesis.openapi.format("decimal", strategies.from_regex(r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,4})?", fullmatch=True))


def draw_values(strategy: SearchStrategy[Value], count: int, seed: int) -> list[Value]:
    """Return up to *count* values; the first ones are the simplest.

    Raises: hypothesis.errors.HypothesisException: the strategy gives none.
    """
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


@contextlib.contextmanager
def quiet_hypothesis() -> Iterator[None]:
    """Keep hypothesis' files out of the working directory, and its warnings out of the test run."""
    before = hypothesis.configuration.storage_directory(intent_to_write=False).home_directory
    folder = Path(tempfile.gettempdir()) / "pymacaron-hypothesis"
    hypothesis.configuration.set_hypothesis_home_dir(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        hypothesis.configuration.set_hypothesis_home_dir(before)
