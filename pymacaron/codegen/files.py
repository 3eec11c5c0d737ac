"""Writes a file whole or not at all."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from pymacaron.exceptions import Finding, SpecError

_NEW_MODE = 0o644


def write_whole(path: Path, data: bytes) -> None:
    """Put *data* in place of what *path* holds, in one step; an existing file keeps its mode.

    Raises: SpecError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = _NEW_MODE
        with suppress(FileNotFoundError):
            mode = path.stat().st_mode & 0o7777
        target = path.resolve()
        with tempfile.NamedTemporaryFile("wb", dir=target.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(data)
        Path(file.name).chmod(mode)
        Path(file.name).replace(target)
    except OSError as error:
        raise SpecError(Finding(str(path), f"it cannot be written: {error}", "Make its folder writable")) from error
