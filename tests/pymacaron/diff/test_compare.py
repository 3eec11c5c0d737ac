"""What is told when one thing of a document changes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from pymacaron.diff import Change, compare
from pymacaron.spec import Api, parse_spec
from pymacaron.spec.pointers import split_pointer

FOLDER = Path(__file__).parent
PETS = yaml.safe_load((FOLDER / "pets.yaml").read_text())
CASES = yaml.safe_load((FOLDER / "changes.yaml").read_text())
TODAY = date(2026, 11, 25)


def edit(document: Any, edits: Sequence[dict[str, Any]]) -> Any:
    """Return a copy of *document* in which what stands at some pointers is something else, or gone."""
    document = copy.deepcopy(document)
    for one in edits:
        *path, last = split_pointer(one["at"])
        node = document
        for token in path:
            node = node[int(token)] if isinstance(node, list) else node[token]
        key = int(last) if isinstance(node, list) else last
        if one.get("gone"):
            del node[key]
        elif isinstance(node, list) and key == len(node):
            node.append(one["is"])
        else:
            node[key] = one["is"]
    return document


def read(document: Any, source: str) -> Api:
    return parse_spec(yaml.safe_dump(document, sort_keys=False), source=source)


def tell(change: Change) -> str:
    start = f"{change.operation}: " if change.operation else ""
    return f"{change.severity} {change.rule}: {start}{change.sentence}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_one_change(case: dict[str, Any]) -> None:
    """One changed thing of a good document gives exactly these sentences."""
    old = edit(PETS, case.get("before", ()))
    changes = compare(read(old, "old.yaml"), read(edit(old, case["edits"]), "new.yaml"), today=case.get("today", TODAY))
    assert [tell(change) for change in changes] == case["changes"]
