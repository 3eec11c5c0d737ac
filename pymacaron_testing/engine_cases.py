"""The cases that schemathesis generates for an operation: by the document's rules, and random ones."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hypothesis.errors import HypothesisException
from jsonschema_rs import ValidationError
from schemathesis.core.errors import SchemathesisError
from schemathesis.generation import GenerationMode
from schemathesis.generation.drivers import CoverageGenerator, ExamplesGenerator
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.generation.overrides import Override

from pymacaron_testing.drawing import draw_values, quiet_hypothesis

if TYPE_CHECKING:
    from schemathesis.generation.case import Case as EngineCase
    from schemathesis.schemas import APIOperation

    Engine = APIOperation[Any, Any, Any, Any]
    GeneratedCase = EngineCase[Engine]

GENERATION_ERRORS = (HypothesisException, SchemathesisError, ValidationError)
# One of so many random cases breaks a rule: those that the rules give do it on purpose, and find more.
_INVALID_SHARE = 4


def generate_cases(engine: Engine, *, seed: int, max_examples: int) -> Iterator[GeneratedCase]:
    """Yield examples, a case for each rule, and *max_examples* random ones, drawn when asked for; valid ones first."""
    invalid = max_examples // _INVALID_SHARE
    with quiet_hypothesis():
        found = [*_collect(_examples(engine)), *_collect(_coverage(engine))]
    yield from (one for one in found if _is_positive(one))
    yield from draw_cases(engine, GenerationMode.POSITIVE, max_examples - invalid, seed=seed, salt=0)
    yield from (one for one in found if not _is_positive(one))
    yield from draw_cases(engine, GenerationMode.NEGATIVE, invalid, seed=seed, salt=1)


def draw_cases(engine: Engine, mode: GenerationMode, count: int, *, seed: int, salt: int) -> list[GeneratedCase]:
    """Return up to *count* random cases; another *salt*, other ones."""
    if count < 1:
        return []
    number = zlib.crc32(f"{seed} {salt} {engine.label}".encode())
    try:
        with quiet_hypothesis():
            strategy = engine.as_strategy(generation_mode=mode, feedback=NO_FEEDBACK)
            return draw_values(strategy, count, number)
    except GENERATION_ERRORS:
        return []


def _examples(engine: Engine) -> Iterator[GeneratedCase]:
    return iter(ExamplesGenerator(operation=engine, override=Override(), feedback=NO_FEEDBACK, fill_missing=False))


def _coverage(engine: Engine) -> Iterator[GeneratedCase]:
    config = engine.schema.config.generation_for(operation=engine, phase="coverage")
    return iter(
        CoverageGenerator(
            operation=engine,
            generation_modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
            generation_config=config,
            auth_storage=None,
            override=Override(),
            feedback=NO_FEEDBACK,
        )
    )


def _is_positive(generated: GeneratedCase) -> bool:
    return generated.meta is None or generated.meta.generation.mode.is_positive


def _collect(cases: Iterator[GeneratedCase]) -> list[GeneratedCase]:
    """Take cases until the generator ends or gives up."""
    taken: list[GeneratedCase] = []
    with contextlib.suppress(*GENERATION_ERRORS):
        taken.extend(cases)
    return taken
