"""The fields and files of a form as they came, in order, each with the headers of its part.

Source: RFC 7578; the URL Standard, "application/x-www-form-urlencoded parsing".
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import unquote_to_bytes

from werkzeug.datastructures import FileStorage, Headers, ImmutableMultiDict
from werkzeug.formparser import MultiPartParser

from pymacaron.media_table import split_media_type

if TYPE_CHECKING:
    from flask import Request

# RFC 7578, section 5.1.2: what parts say beside UTF-8.
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1"})


@dataclass(slots=True)
class Part:
    """One field of a form: its bytes, or a file with them.

    media_type: as its part says, ``""`` where it does not.
    """

    name: str
    data: bytes = b""
    file: FileStorage | None = None
    headers: Headers = field(default_factory=Headers)

    @property
    def media_type(self) -> str:
        """Return what the part says of itself."""
        return self.headers.get("Content-Type", "")

    def read_text(self) -> str:
        """Return the text. Raises ValueError: it is none in its charset."""
        charset = split_media_type(self.media_type)[1].get("charset", "utf-8").lower()
        if charset not in _CHARSETS:
            raise ValueError("its charset is unknown")
        try:
            return self.read_data().decode(charset)
        except UnicodeDecodeError as error:
            raise ValueError(f"it is no {charset} text") from error

    def read_data(self) -> bytes:
        """Return the bytes, of a file too."""
        if self.file is None:
            return self.data
        data: bytes = self.file.read()
        self.file.seek(0)
        return data

    def to_file(self) -> FileStorage:
        """Return the part as a file; a field without a file name is one without a name."""
        return self.file or FileStorage(io.BytesIO(self.data), name=self.name, headers=self.headers)


def read_parts(request: Request) -> list[Part]:
    """Return the parts of the form in *request*; afterwards ``request.form`` and ``request.files`` have them too.

    Raises: ValueError: the body is no form. RequestEntityTooLarge: it breaks a limit of the app.
    """
    if not request.mimetype.startswith("multipart/"):
        return _read_urlencoded(request.get_data())
    if "form" in request.__dict__:  # a hook of the service was first: the headers of fields are gone
        parts = [Part(name, text.encode()) for name, text in request.form.items(multi=True)]
        files = [(name, file) for name, file in request.files.items(multi=True)]
        return parts + [Part(name, file=file, headers=file.headers) for name, file in files]
    boundary = request.mimetype_params.get("boundary", "")
    if not boundary or not boundary.isascii():
        raise ValueError("its Content-Type has no boundary")
    parser = _PartParser(
        request._get_file_stream,  # noqa: SLF001 - where Flask lets an app decide how uploads are kept
        max_form_memory_size=request.max_form_memory_size,
        max_form_parts=request.max_form_parts,
    )
    parts = parser.read(request.stream, boundary.encode(), request.content_length)
    fields = [(part.name, part.data.decode(errors="replace")) for part in parts if part.file is None]
    request.form = ImmutableMultiDict(fields)
    request.files = ImmutableMultiDict([(part.name, part.file) for part in parts if part.file is not None])
    return parts


def _read_urlencoded(data: bytes) -> list[Part]:
    pairs = [pair.partition(b"=") for pair in data.replace(b"+", b" ").split(b"&") if pair]
    return [Part(_decode_name(unquote_to_bytes(name)), unquote_to_bytes(text)) for name, _, text in pairs]


def _decode_name(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise ValueError("a name in it is no utf-8 text") from error


class _PartParser(MultiPartParser):
    """Werkzeug's parser, which forgets the headers of fields and replaces what is no UTF-8."""

    def read(self, stream: IO[bytes], boundary: bytes, content_length: int | None) -> list[Part]:
        self._field_headers: list[Headers] = []
        self.cls = list  # type: ignore[assignment]  # keeps the order, which a MultiDict does not
        parsed = self.parse(stream, boundary, content_length)
        fields, files = cast("tuple[list[tuple[str | None, str]], list[tuple[str | None, FileStorage]]]", parsed)
        parts = [
            Part(name or "", text.encode("latin-1"), headers=headers)
            for (name, text), headers in zip(fields, self._field_headers, strict=True)
        ]
        return parts + [Part(name or "", file=file, headers=file.headers) for name, file in files]

    def get_part_charset(self, headers: Headers) -> str:
        """Keep the *headers* and every byte; called once for each field, in order."""
        self._field_headers.append(headers)
        return "latin-1"
