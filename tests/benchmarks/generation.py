"""What generating models costs, compared with datamodel-code-generator alone on the same document.

Run it from the repository: ``python tests/benchmarks/generation.py [DOCUMENT] [ROUNDS]``. The document is by default
Twilio's, 1.9 MB, from ``../shared/specs``. The generator alone gets the text of the document and the options that
pymacaron gives it: once for the schemas under ``components`` only, which is what it does by default, and once for
paths and parameters too, of which pymacaron makes models as well. pymacaron reads, checks and upgrades the document,
names what has no name, generates, and checks the text. All three take turns in one process; it prints the median CPU
seconds, the number of classes, and the ratios.

Goal: pymacaron takes at most 1.3 times as long as the generator alone.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import datamodel_code_generator
from datamodel_code_generator.enums import OpenAPIScope

from pymacaron.codegen import generate_models
from pymacaron.spec import load_spec

TWILIO = Path(__file__).parents[2].parent / "shared" / "specs" / "twilio" / "api_v2010.json"


def main() -> None:
    """Measure and print."""
    document = Path(sys.argv[1]) if len(sys.argv) > 1 else TWILIO
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    options = record_options(document)
    scopes = [OpenAPIScope.Schemas, OpenAPIScope.Paths, OpenAPIScope.Parameters]
    ways: dict[str, Callable[[], str]] = {
        "pymacaron": lambda: generate_models(load_spec(document)),
        "alone, schemas": lambda: generate_alone(document, options),
        "alone, with paths": lambda: generate_alone(document, options | {"openapi_scopes": scopes}),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    classes = {}
    for _ in range(rounds):
        for name, generate in ways.items():
            start = time.process_time()
            text = generate()
            times[name].append(time.process_time() - start)
            classes[name] = text.count("\nclass ")
    own = statistics.median(times["pymacaron"])
    print(f"{'':18}{'cpu_s':>8}{'classes':>9}{'pymacaron is':>14}")  # noqa: T201
    for name, found in times.items():
        median = statistics.median(found)
        print(f"{name:18}{median:>8.2f}{classes[name]:>9}{own / median:>13.2f}x")  # noqa: T201


def record_options(document: Path) -> dict[str, Any]:
    """Return the options that pymacaron gives the generator."""
    original = datamodel_code_generator.generate
    with mock.patch.object(datamodel_code_generator, "generate", wraps=original) as spy:
        generate_models(load_spec(document))
    return {name: value for name, value in spy.call_args.kwargs.items() if name != "emit_model_metadata"}


def generate_alone(document: Path, options: dict[str, Any]) -> str:
    """Return what the generator makes of the document as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = datamodel_code_generator.generate(document.read_text(), **options)
    return "".join(map(str, made.values())) if isinstance(made, dict) else str(made)


if __name__ == "__main__":
    main()
