"""Layers of images: archives that are the same, byte by byte, whenever their content is."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from pymacaron.json_types import JsonObject

_COMPRESSION = 6
_BLOCK_BYTES = 1024 * 1024
_KEPT_FOR_S = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Blob:
    """A piece of an image. size: bytes. file: where it lies, None if it is only in *source*, the base's repository."""

    digest: str
    size: int
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of an image. blob: packed. diff_id: the digest of what is unpacked."""

    blob: Blob
    diff_id: str

    def to_json(self) -> JsonObject:
        """Return ``{digest, size, diff_id}``."""
        return {"digest": self.blob.digest, "size": self.blob.size, "diff_id": self.diff_id}


def cache_folder(*parts: str) -> Path:
    """Return a folder for what can be made again, ``~/.cache/pymacaron``/parts; it is there."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").joinpath("pymacaron", *parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def tidy_cache(older_than_s: float = _KEPT_FOR_S) -> None:
    """Remove layers that no build has used for so long; they are made or fetched again when they are needed."""
    oldest = time.time() - older_than_s
    for file in cache_folder("layers").iterdir():
        with suppress(FileNotFoundError):  # another build was faster
            if file.stat().st_mtime < oldest:
                file.unlink()


def use_file(file: Path) -> Path:
    """Return *file*, marked as used now, so that it stays in the cache."""
    file.touch()
    return file


class LayerArchive:
    """Puts files into a layer; all belong to root unless said otherwise, and have the same *moment*, Unix seconds."""

    def __init__(self, archive: tarfile.TarFile, moment: int) -> None:
        """Take an archive that is open for writing."""
        self._archive = archive
        self._moment = moment
        self._folders: set[str] = set()

    def add_file(self, place: str, file: Path, *, is_executable: bool = False) -> None:
        """Add what *file* holds at *place*, without a leading slash, and the folders above it."""
        with file.open("rb") as source:
            self._add(place, source, os.fstat(source.fileno()).st_size, 0o755 if is_executable else 0o644)

    def add_bytes(self, place: str, data: bytes) -> None:
        """Add a file that holds *data*."""
        self._add(place, io.BytesIO(data), len(data), 0o644)

    def add_link(self, place: str, target: str) -> None:
        """Add a symbolic link."""
        self._add_folders(place)
        entry = self._entry(place, 0o777)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self._archive.addfile(entry)

    def add_folder(self, place: str, *, mode: int = 0o755, owner: int = 0) -> None:
        """Add an empty folder. owner: number of its user and group."""
        entry = self._entry(place, mode)
        entry.type, entry.uid, entry.gid = tarfile.DIRTYPE, owner, owner
        self._folders.add(place)
        self._archive.addfile(entry)

    def _add(self, place: str, source: BinaryIO, size: int, mode: int) -> None:
        self._add_folders(place)
        entry = self._entry(place, mode)
        entry.size = size
        self._archive.addfile(entry, source)

    def _add_folders(self, place: str) -> None:
        parts = place.split("/")[:-1]
        for count in range(1, len(parts) + 1):
            folder = "/".join(parts[:count])
            if folder not in self._folders:
                self.add_folder(folder)

    def _entry(self, place: str, mode: int) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(place)
        entry.mode, entry.mtime = mode, self._moment
        return entry


def write_layer(fill: Callable[[LayerArchive], None], *, moment: int, folder: Path | None = None) -> Layer:
    """Write the layer that *fill* puts together, called ``sha256-….tar.gz`` in *folder*, by default a cache.

    moment: the time of every file in it, Unix seconds.
    """
    folder = folder or cache_folder("layers")
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as part:
        packed, unpacked = _Hashed(part), hashlib.sha256()
        try:
            with _compressing(packed, unpacked) as archive:
                fill(LayerArchive(archive, moment))
        except BaseException:
            Path(part.name).unlink()
            raise
    digest = f"sha256:{packed.seen.hexdigest()}"
    file = folder / f"{digest.replace(':', '-')}.tar.gz"
    Path(part.name).rename(file)
    return Layer(Blob(digest, packed.size, file), f"sha256:{unpacked.hexdigest()}")


@contextmanager
def _compressing(packed: _Hashed, unpacked: hashlib._Hash) -> Iterator[tarfile.TarFile]:
    # No name and no time in the header: they would make each layer another one.
    with gzip.GzipFile("", "wb", _COMPRESSION, fileobj=packed, mtime=0) as target:
        seen = _Hashed(target, unpacked)
        with tarfile.open(
            fileobj=seen,
            mode="w|",
            format=tarfile.PAX_FORMAT,
            bufsize=_BLOCK_BYTES,
        ) as archive:
            yield archive


class _Target(Protocol):
    def write(self, data: bytes, /) -> int: ...


class _Hashed(io.RawIOBase):
    """A file to write to that knows the hash and the length of what was written."""

    def __init__(self, target: _Target, seen: hashlib._Hash | None = None) -> None:
        self._target = target
        self.seen = seen or hashlib.sha256()
        self.size = 0

    def write(self, data: Any, /) -> int:
        content = bytes(data)
        self.seen.update(content)
        self.size += len(content)
        self._target.write(content)
        return len(content)
