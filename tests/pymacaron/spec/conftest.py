"""Documents for the tests of `pymacaron.spec`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from pymacaron.exceptions import SpecError
from pymacaron.spec import Api, parse_spec

SHARED_SPECS = Path(__file__).parents[4] / "shared" / "specs"

Parse = Callable[[str], Api]
FindFaults = Callable[[str], list[str]]


@pytest.fixture
def parse() -> Parse:
    """Read a document from indented text; messages call it ``api.yaml``."""
    return lambda text: parse_spec(dedent(text), source="api.yaml")


@pytest.fixture
def find_faults() -> FindFaults:
    """Return what is wrong with a document, one text per finding."""

    def find(text: str) -> list[str]:
        with pytest.raises(SpecError) as caught:
            parse_spec(dedent(text), source="api.yaml")
        return str(caught.value).splitlines()

    return find


@pytest.fixture
def shared_specs() -> Path:
    """Return the folder of documents written by others; skips where it is missing."""
    if not SHARED_SPECS.is_dir():
        pytest.skip(f"no documents in {SHARED_SPECS}")
    return SHARED_SPECS
