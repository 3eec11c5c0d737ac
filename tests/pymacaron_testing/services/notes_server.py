"""A pymacaron service in one file; it writes down who started it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pymacaron import create_app

NOTES: list[Any] = []


def list_notes() -> list[Any]:
    """Return all notes."""
    return NOTES


def create_note(body: Any) -> tuple[Any, int]:
    """Keep a note."""
    NOTES.append(body)
    return body, 201


app = create_app(__name__, handlers=__name__)
with Path("starts").open("a") as file:
    file.write(f"{os.environ['PYM_ENV']} {os.getppid()}\n")
