"""Every kind of request body reaches its handler, or is refused with a reason."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

JSON = "application/json"
NOTE = b'{"name": "Rex"}'
PART_TYPE = "multipart/mixed; boundary=x"
PART = b"--x\r\nContent-Type: application/json\r\n\r\n"
MIXED = PART + b'{"name": "a"}\r\n' + PART + b'{"name": "b"}\r\n--x--'
NAMES = [{"name": "a"}, {"name": "b"}]


@pytest.fixture
def client(bodies_app: Flask) -> FlaskClient:
    """Return a client of the service with every kind of body."""
    return bodies_app.test_client()


@pytest.mark.parametrize(
    ("path", "content_type", "data", "expected"),
    [
        pytest.param("/json", JSON, NOTE, {"name": "Rex"}, id="JSON"),
        pytest.param("/json", "Application/JSON; charset=UTF-8", NOTE, {"name": "Rex"}, id="charset"),
        pytest.param("/json", f"{JSON}; charset=utf-16", '{"name": "é"}'.encode("utf-16"), {"name": "é"}, id="utf-16"),
        pytest.param("/json", "application/merge-patch+json", NOTE, {"name": "Rex"}, id="range of suffix"),
        pytest.param("/json", f"{JSON}; profile=x", NOTE, {"name": "Rex"}, id="unknown parameter"),
        pytest.param("/optional", "", b"", {"class": "NoneType", "value": None}, id="no body where none is needed"),
        pytest.param(
            "/optional", JSON, b"", {"class": "NoneType", "value": None}, id="empty body where none is needed"
        ),
        pytest.param(
            "/versioned",
            "application/vnd.note+json; version=2",
            NOTE,
            {"class": "Note", "value": {"name": "Rex"}},
            id="version 2",
        ),
        pytest.param(
            "/versioned",
            "application/vnd.note+json;version=1",
            b'{"name": "x"}',
            {"class": "TakeVersionedRequest", "value": {"name": "x"}},
            id="version 1",
        ),
        pytest.param("/text", "text/plain", "é".encode(), {"class": "str", "value": "é"}, id="text"),
        pytest.param("/text", "text/csv; charset=latin-1", b"\xe9", {"class": "str", "value": "é"}, id="latin-1"),
        pytest.param("/anything", "image/png", b"\x89", {"class": "bytes", "value": "89"}, id="any type"),
        pytest.param("/anything", JSON, b"{}", {"class": "bytes", "value": "7b7d"}, id="any type is bytes, JSON too"),
        pytest.param("/anything", "", b"\x01", {"class": "bytes", "value": "01"}, id="no type is octets"),
        pytest.param("/items", "application/x-ndjson", b'{"name": "a"}\n\n{"name": "b"}', NAMES, id="ndjson"),
        pytest.param("/items", "application/jsonl", b'{"name": "a"}\r\n{"name": "b"}\r\n', NAMES, id="jsonl"),
        pytest.param("/items", "application/json-seq", b'\x1e{"name": "a"}\n\x1e{"name": "b"}\n', NAMES, id="json-seq"),
        pytest.param("/items", PART_TYPE, MIXED, NAMES, id="multipart/mixed"),
        pytest.param(
            "/items",
            "text/event-stream",
            b": x\nevent: a\ndata: 1\ndata:2\nid: 3\nretry: 5\nodd: 1\n\ndata\n\nid: 9\n\n",
            [{"data": "1\n2", "event": "a", "id": "3", "retry": 5}, {"data": ""}],
            id="events",
        ),
        pytest.param("/items", "application/jsonl", b"\n", [], id="no items"),
    ],
)
def test_bodies_that_are_taken(client: FlaskClient, path: str, content_type: str, data: bytes, expected: Any) -> None:
    """The handler gets the value that the body stands for."""
    answer = client.post(path, data=data, content_type=content_type or None)
    assert answer.status_code == 200, answer.text
    value = answer.get_json()
    assert (value["value"] if path == "/items" else value) == expected


@pytest.mark.parametrize(
    ("path", "content_type", "data", "status", "description"),
    [
        pytest.param("/json", JSON, b"", 400, "body: it is missing", id="missing"),
        pytest.param("/json", JSON, b"{", 400, "body: EOF while parsing an object", id="broken JSON"),
        pytest.param("/json", JSON, b'{"name": "\xff"}', 400, "body", id="no UTF-8"),
        pytest.param("/json", JSON, b'{"name": "x", "tags": ["a", "a"]}', 400, "uniqueItems", id="beyond the model"),
        pytest.param("/json", f"{JSON}; charset=klingon", NOTE, 415, "unknown charset klingon", id="charset"),
        pytest.param("/json", "text/csv", b"a", 415, "The body is text/csv, this operation takes", id="media type"),
        pytest.param("/json", "", NOTE, 415, "The request has no Content-Type", id="no media type"),
        pytest.param("/versioned", "application/vnd.note+json; version=3", NOTE, 415, "takes", id="version"),
        pytest.param("/text", "text/plain", b"\xff", 400, "body: it is no utf-8 text", id="no text"),
        pytest.param("/text", "text/plain", b"12345678901", 400, "body /: breaks maxLength", id="text too long"),
        pytest.param("/items", "application/jsonl", b'{"name": "a"}\n{"name": 1}', 400, "body item 1 /name", id="item"),
        pytest.param("/items", "application/jsonl", b"{", 400, "body item 0", id="broken item"),
        pytest.param("/items", "application/json-seq", b"{}", 400, "no record separator", id="json-seq"),
        pytest.param("/items", PART_TYPE, b"nothing", 400, "no parts between boundaries", id="no parts"),
        pytest.param("/items", "text/event-stream", b"data: too long\n\n", 400, "body item 0 /data", id="event"),
        pytest.param(
            "/form", "multipart/form-data; boundary=x", b"", 415, "takes application/x-www", id="no such form"
        ),
        pytest.param("/form", "", b"name=a", 415, "The request has no Content-Type", id="form without a type"),
        pytest.param("/upload", "multipart/form-data", b"x", 400, "its Content-Type has no boundary", id="no boundary"),
        pytest.param("/upload", "multipart/form-data; boundary=x", b"junk", 400, "form meta", id="no multipart"),
        pytest.param("/form", "application/x-www-form-urlencoded", b"name=%FF", 400, "no utf-8 text", id="form bytes"),
        pytest.param("/form", "application/x-www-form-urlencoded", b"%FF=1", 400, "a name in it", id="name bytes"),
        pytest.param(
            "/form", "application/x-www-form-urlencoded", b"name=a&zip=1", 400, "form zip", id="unknown field"
        ),
        pytest.param("/form", "application/x-www-form-urlencoded", b"name=a&name=b", 400, "more than once", id="twice"),
        pytest.param("/form", "application/x-www-form-urlencoded", b"name=a&point={", 400, "form point", id="no JSON"),
        pytest.param("/form", "application/x-www-form-urlencoded", b"", 400, "form name: Field required", id="no form"),
        pytest.param("/json", JSON, b" " * 100_001, 413, "", id="too large"),
    ],
)
def test_bodies_that_are_refused(
    client: FlaskClient, path: str, content_type: str, data: bytes, status: int, description: str
) -> None:
    """Every refusal says why; 415 names in Accept what would be taken."""
    answer = client.post(path, data=data, content_type=content_type or None)
    assert answer.status_code == status, answer.text
    body = answer.get_json()
    assert description in body["error_description"]
    if status == 415 and "charset" not in description:
        assert answer.headers["Accept"]


def test_a_body_that_nobody_asked_for_is_ignored(client: FlaskClient) -> None:
    """RFC 9110 lets a server ignore what has no meaning for it."""
    assert client.post("/nothing", data=b"{", content_type=JSON).status_code == 204


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("name=a%26b+c&tags=x&tags=y", {"name": "a&b c", "tags": ["x", "y"]}, id="repeated"),
        pytest.param('name=a&point={"x":1}', {"name": "a", "point": {"x": 1}}, id="object as JSON"),
        pytest.param("name=a&point[x]=1", {"name": "a", "point": {"x": 1}}, id="object in brackets"),
        pytest.param("name=a&x=1&y=2", {"name": "a", "point": {"x": 1, "y": 2}}, id="object beside"),
        pytest.param("name=a&deep%5Bx%5D=1", {"name": "a", "deep": {"x": 1}}, id="deepObject"),
        pytest.param("name=a&list=1%7C2", {"name": "a", "list": [1, 2]}, id="pipes"),
    ],
)
def test_urlencoded_forms(client: FlaskClient, query: str, expected: dict[str, Any]) -> None:
    """Arrays and objects in a form follow its encoding."""
    answer = client.post("/form", data=query, content_type="application/x-www-form-urlencoded")
    assert answer.get_json() == expected


def parts(*rows: tuple[str, str | None, str | None, bytes], **headers: str) -> tuple[str, bytes]:
    """Return media type and bytes of a multipart form: rows of name, file name, media type and content."""
    lines = b""
    for name, filename, media_type, content in rows:
        lines += b'--b\r\nContent-Disposition: form-data; name="' + name.encode() + b'"'
        lines += b'; filename="' + filename.encode() + b'"' if filename else b""
        lines += b"\r\nContent-Type: " + media_type.encode() if media_type else b""
        lines += f"\r\nX-Checksum: {headers.get('checksum', '7')}".encode() if name == "photo" else b""
        lines += b"\r\n\r\n" + content + b"\r\n"
    return "multipart/form-data; boundary=b", lines + b"--b--\r\n"


META = ("meta", None, JSON, NOTE)
PHOTO = ("photo", "a.png", "image/png", b"\x89PNG")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([META, PHOTO], {"meta": {"name": "Rex"}, "photo": ["a.png", "image/png", 4]}, id="JSON and file"),
        pytest.param([("meta", "blob", JSON, NOTE), PHOTO], {"meta": {"name": "Rex"}}, id="JSON as a browser's Blob"),
        pytest.param([("meta", None, None, NOTE), PHOTO], {"meta": {"name": "Rex"}}, id="JSON without a type"),
        pytest.param([META, ("photo", None, None, b"\xff")], {"photo": [None, "", 1]}, id="file without a name"),
        pytest.param(
            [META, PHOTO, ("docs", "1", "text/plain", b"one"), ("docs", "2", None, b"two")],
            {"docs": ["one", "two"]},
            id="several files",
        ),
        pytest.param(
            [META, PHOTO, ("points", None, JSON, b'{"x": 1}'), ("points", None, JSON, b'{"y": 2}')],
            {"points": [{"x": 1}, {"y": 2}]},
            id="JSON items",
        ),
        pytest.param([META, PHOTO, ("points", None, JSON, b'[{"x": 1}]')], {"points": [{"x": 1}]}, id="JSON array"),
        pytest.param(
            [META, PHOTO, ("caption", None, "text/plain; charset=iso-8859-1", b"\xe9")], {"caption": "é"}, id="latin"
        ),
        pytest.param([META, PHOTO, ("origin", None, "application/xml", b"<a/>")], {"origin": "<a/>"}, id="XML"),
        pytest.param([META, PHOTO, ("origin", None, None, b'{"x": 1}')], {"origin": '{"x": 1}'}, id="no type"),
        pytest.param(
            [META, PHOTO, ("origin", "a.xml", "application/xml; charset=iso-8859-1", b"<a>\xe9</a>")],
            {"origin": "<a>é</a>"},
            id="XML as a file, in latin",
        ),
        pytest.param(
            [META, PHOTO, ("route", None, "text/xml", b"<a/>"), ("route", None, "application/gpx+xml", b"[1]")],
            {"route": ["<a/>", "[1]"]},
            id="XML items",
        ),
        pytest.param([META, PHOTO, ("caption", None, None, b"12")], {"caption": "12"}, id="digits stay text"),
        pytest.param([META, PHOTO, ("thumbnail", None, None, b"iVBO")], {"thumbnail": "iVBO"}, id="base64 stays text"),
    ],
)
def test_multipart_forms(client: FlaskClient, rows: list[Any], expected: dict[str, Any]) -> None:
    """Files, JSON parts and texts arrive as what they are."""
    content_type, data = parts(*rows)
    answer = client.post("/upload", data=data, content_type=content_type)
    assert answer.status_code == 200, answer.text
    assert expected.items() <= answer.get_json().items()


@pytest.mark.parametrize(
    ("rows", "checksum", "status", "description"),
    [
        pytest.param(
            [META, ("photo", "a.gif", "image/gif", b"GIF")], "7", 415, "form photo: the part is image/gif", id="type"
        ),
        pytest.param(
            [("meta", None, "text/plain", NOTE), PHOTO], "7", 415, "form meta: the part is text/plain", id="no JSON"
        ),
        pytest.param(
            [("meta", None, JSON, b'{"name": 1}'), PHOTO], "7", 400, "form meta/name", id="JSON against its schema"
        ),
        pytest.param([("meta", None, JSON, b"{"), PHOTO], "7", 400, "form meta: EOF while parsing", id="broken JSON"),
        pytest.param(
            [META, PHOTO, ("origin", None, JSON, b"{}")],
            "7",
            415,
            "form origin: the part is application/json",
            id="no XML",
        ),
        pytest.param(
            [META, PHOTO, ("origin", None, "application/xml", b"\xff")],
            "7",
            400,
            "form origin: it is no utf-8",
            id="XML bytes",
        ),
        pytest.param([META, PHOTO], "x", 400, "form photo: header X-Checksum of the part: breaks type", id="header"),
        pytest.param([META], "7", 400, "form photo: a file is required", id="no file"),
        pytest.param([META, PHOTO, PHOTO], "7", 400, "form photo: given more than once", id="two files for one"),
        pytest.param(
            [META, PHOTO, ("caption", None, None, b"\xff")], "7", 400, "form caption: it is no utf-8", id="bytes"
        ),
        pytest.param(
            [META, PHOTO, ("caption", None, "text/plain; charset=ebcdic", b"a")], "7", 400, "unknown", id="charset"
        ),
        pytest.param([META, PHOTO, ("caption", None, None, b"x" * 21)], "7", 400, "form caption", id="too long"),
        pytest.param(
            [META, PHOTO, ("zip", None, None, b"x")], "7", 400, "form zip: the document has no such", id="unknown"
        ),
    ],
)
def test_multipart_forms_that_are_refused(
    client: FlaskClient, rows: list[Any], checksum: str, status: int, description: str
) -> None:
    """A part of a wrong type is 415, a part with a wrong content 400."""
    content_type, data = parts(*rows, checksum=checksum)
    answer = client.post("/upload", data=data, content_type=content_type)
    assert (answer.status_code, description in answer.text) == (status, True), answer.text


ALBUM = {"name": "a", "year": 3, "point": {"x": 1}, "tags": ["t"]}


@pytest.mark.parametrize(
    ("content_type", "data", "expected"),
    [
        pytest.param(JSON, json.dumps(ALBUM).encode(), ALBUM, id="JSON"),
        pytest.param("application/x-www-form-urlencoded", b"name=a&year=3&point[x]=1&tags=t", ALBUM, id="urlencoded"),
        pytest.param(
            *parts(
                ("name", None, None, b"a"), ("point", None, JSON, b'{"x": 1}'), ("cover", "c", "image/png", b"\x89")
            ),
            {"name": "a", "point": {"x": 1}, "cover": "iQ=="},
            id="multipart",
        ),
        pytest.param(*parts(("name", None, None, b"a"), ("own", None, None, b"1")), {"name": "a"}, id="own field"),
        pytest.param(
            JSON, b'{"name": "a", "liner": {"text": "b"}}', {"name": "a", "liner": {"text": "b"}}, id="object"
        ),
        pytest.param(
            *parts(("name", None, None, b"a"), ("liner", "l.xml", "application/xml", b"<text/>")),
            {"name": "a", "liner": "<text/>"},
            id="XML",
        ),
    ],
)
def test_a_body_that_may_be_json_or_a_form(
    client: FlaskClient, content_type: str, data: bytes, expected: dict[str, Any]
) -> None:
    """The handler gets the same properties either way, but an object that is no JSON in a form is text."""
    answer = client.post("/mixed", data=data, content_type=content_type)
    assert (answer.status_code, answer.get_json()) == (200, expected)


def deflated(data: bytes) -> bytes:
    """Return *data* without the header of zlib, as some clients understood RFC 2616."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "data", "status"),
    [
        pytest.param("gzip", gzip.compress(NOTE), 200, id="gzip"),
        pytest.param("deflate", zlib.compress(NOTE), 200, id="deflate"),
        pytest.param("deflate", deflated(NOTE), 200, id="raw deflate"),
        pytest.param("identity", NOTE, 200, id="identity"),
        pytest.param("gzip", NOTE, 400, id="no gzip"),
        pytest.param("gzip", gzip.compress(NOTE)[:-9], 400, id="cut off"),
        pytest.param("gzip", gzip.compress(b" " * 10_000_000), 413, id="bomb"),
        pytest.param("gzip", b"", 400, id="nothing"),
        pytest.param("br", NOTE, 415, id="brotli"),
        pytest.param("gzip, gzip", gzip.compress(gzip.compress(NOTE)), 415, id="twice"),
    ],
)
def test_compressed_bodies(client: FlaskClient, coding: str, data: bytes, status: int) -> None:
    """Gzip and deflate are unpacked within the size limit, others are refused with what is taken."""
    answer = client.post("/json", data=data, content_type=JSON, headers={"Content-Encoding": coding})
    assert answer.status_code == status, answer.text
    assert ("Accept-Encoding" in answer.headers) == (status == 415)


def test_a_compressed_form(client: FlaskClient) -> None:
    """What was compressed is a form like any other."""
    content_type, data = parts(META, PHOTO)
    headers = {"Content-Encoding": "gzip"}
    answer = client.post("/upload", data=gzip.compress(data), content_type=content_type, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/files/a.tar.gz", ["a.tar", "gz"], id="parts of a segment"),
        pytest.param("/files/a%2Fb.txt", ["a/b", "txt"], id="encoded slash"),
        pytest.param("/files/%C3%A9%252F.txt", ["é%2F", "txt"], id="unicode and encoded percent"),
        pytest.param("/files/a%2Fb%252Fc.txt", ["a/b%2Fc", "txt"], id="both"),
        pytest.param("/report-17", 17, id="after a prefix"),
        pytest.param("/colors/;colors=a%3Bb;colors=c", ["a;b", "c"], id="matrix"),
        pytest.param("/colors/%3Bcolors=a%3Bcolors=c", ["a", "c"], id="matrix, all encoded"),
        pytest.param("/search?filter[x]=1&ids=a%2Cb,c", {"filter": {"x": 1}, "ids": ["a,b", "c"]}, id="query"),
        pytest.param('/search?where={"y":2}&flag', {"where": {"y": 2}}, id="content and an unused flag"),
        pytest.param("/query?x=1", {"x": 1}, id="the whole query"),
    ],
)
def test_parameters(client: FlaskClient, path: str, expected: Any) -> None:
    """Parameters arrive from wherever the document has them."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.get_json() == expected


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/files/a/b.txt", 404, id="slash"),
        pytest.param("/nowhere/a%2Fb", 404, id="no such path"),
        pytest.param("/search?limit=1", 400, id="unknown parameter"),
        pytest.param("/search?filter=1", 400, id="no deep object"),
        pytest.param("/query?z=1", 400, id="refused by its schema"),
    ],
)
def test_parameters_that_are_refused(client: FlaskClient, path: str, status: int) -> None:
    """What the document does not have is refused where the configuration asks for that."""
    assert client.get(path).status_code == status


def test_cookies_are_taken_as_they_are(bodies_app: Flask) -> None:
    """Style cookie has a cookie for each item."""
    answer = bodies_app.test_client(use_cookies=False).get("/search", headers={"Cookie": "crumbs=a%20b; crumbs=c"})
    assert answer.get_json() == {"crumbs": ["a%20b", "c"]}


def test_a_hook_may_read_the_form_first(bodies_app: Flask) -> None:
    """Flask's own way to the form works before, and in handlers after, ours."""
    content_type, data = parts(("name", None, None, b"a"), ("cover", "c", "text/plain", b"x"))
    with bodies_app.test_request_context("/mixed", method="POST", data=data, content_type=content_type) as context:
        assert context.request.form["name"] == "a"
        answer = bodies_app.ensure_sync(bodies_app.view_functions["bodies:takeMixed"])()
        assert answer.get_json() == {"name": "a", "cover": "x"}


def test_handlers_still_see_the_form(bodies_app: Flask) -> None:
    """After the form was read by its parts, ``request.form`` and ``request.files`` have it."""
    content_type, data = parts(META, PHOTO)
    with bodies_app.test_request_context("/upload", method="POST", data=data, content_type=content_type) as context:
        bodies_app.view_functions["bodies:upload"]()
        assert json.loads(context.request.form["meta"]) == {"name": "Rex"}
        assert context.request.files["photo"].filename == "a.png"
