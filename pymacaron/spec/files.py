"""Which other files and URLs a document may refer to, and reading them within bounds."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, unquote, urljoin, urlsplit

from pymacaron.exceptions import Finding, SpecError
from pymacaron.spec.load import MAX_BYTES, SourceText, download, is_url, read_file

MAX_FILES = 1_000

# The document's folder and the one above it, as URIs: the same on every machine. Nothing else has such addresses.
_ABOVE = "file:///-/"
_HERE = "file:///-/-/"


@dataclass(slots=True)
class FileFinder:
    """Finds the files of one document.

    main: the document's own path or URL, None for a text in memory. hosts: ``example.com`` or ``example.com:8080``,
    from which references may be read; a document from a URL may also refer to its own host. main_uri: what relative
    references in the document are relative to; if a document in a file says in ``$self`` where it is published, the
    files beside it are copies of those there. size_bytes: read so far.
    """

    main: str | None = None
    hosts: frozenset[str] = frozenset()
    main_uri: str = ""
    size_bytes: int = 0
    _count: int = 0
    _by_path: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Derive the URI of the document."""
        if self.main is not None and is_url(self.main):
            self.main_uri = self.main
        else:
            self.main_uri = _HERE + quote(Path(self.main or "document").name)
        if self.main is not None and not is_url(self.main):
            self._by_path[_real(Path(self.main))] = ""

    def uri_of(self, key: str) -> str:
        """Return the URI of the file *key*; ``""`` is the document itself."""
        if not key:
            return self.main_uri
        return key if is_url(key) else urljoin(_HERE, quote(key))

    def find_key(self, uri: str) -> str:
        """Return the key of the file at *uri*: path relative to the document's folder, or URL; ``""``: the document.

        Raises SpecError if it may not be read: another host, a path outside of the folder that holds the document's
        folder (symbolic links followed), a reference out of a text in memory.
        """
        if uri == self.main_uri:
            return ""
        uri = self._find_copy(uri)
        if is_url(uri):
            self._check_host(uri)
            return uri
        if self.main is None or is_url(self.main):
            _refuse("it names another file, which only a document in a file can do", "Copy the part into the document")
        if not uri.startswith(_ABOVE):
            _refuse("it leaves the folder that holds this one", "Copy the part into the document")
        key = posixpath.relpath(unquote(urlsplit(uri).path), "/-/-")
        path = Path(self.main or "").parent / key
        folder = _real(Path(self.main or "").absolute().parent)
        # Above /apis there is everything.
        bound = folder if folder.parent == Path(folder.anchor) else folder.parent
        real = _real(path)
        if not real.is_relative_to(bound):
            _refuse("it leaves the folder that holds this one", "Copy the part into the document")
        return self._by_path.setdefault(real, key)

    def read(self, key: str) -> SourceText:
        """Return the text of the file *key*. Raises SpecError if that fails or too much was read already."""
        self._count += 1
        most = MAX_BYTES - self.size_bytes
        if self._count > MAX_FILES or most <= 0:
            what = f"the document consists of more than {MAX_FILES} files or {MAX_BYTES >> 20} MiB"
            _refuse(what, "Split it into several documents")
        if is_url(key):
            source = download(key, most_bytes=most, may_redirect=False)
        else:
            source = read_file(Path(self.main or "").parent / key, most_bytes=most)
        self.size_bytes += len(source.text)
        return source

    def _find_copy(self, uri: str) -> str:
        """Return the URI of the file here that is published at *uri*, according to the document's ``$self``."""
        published, wanted = urlsplit(self.main_uri), urlsplit(uri)
        is_here = self.main is not None and not is_url(self.main) and is_url(self.main_uri)
        if not is_here or (published.scheme, published.netloc) != (wanted.scheme, wanted.netloc):
            return uri
        return urljoin(_HERE, posixpath.relpath(wanted.path, posixpath.dirname(published.path) or "/"))

    def _check_host(self, uri: str) -> None:
        parts = urlsplit(uri)
        own = urlsplit(self.main or "")
        is_own = is_url(self.main or "") and (own.scheme, own.netloc) == (parts.scheme, parts.netloc)
        host = parts.netloc.rpartition("@")[2]
        if not is_own and not self.hosts & {host, parts.hostname or ""}:
            _refuse(
                f"references to the host {host} are not allowed",
                f"Copy the part into the document, or allow the host: remote_ref_hosts: [{host}] in pym-config.yaml,"
                f" --allow-host {host} of pymacaron check",
            )


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):
        return path.absolute()


def _refuse(found: str, fix: str) -> NoReturn:
    raise SpecError(Finding("", found, fix))
