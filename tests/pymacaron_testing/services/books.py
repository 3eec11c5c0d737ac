"""A service in plain Flask that keeps books.yaml, but for the one fault that it is told to have."""

# ruff: noqa: D102 - the public methods are what books.yaml describes

from __future__ import annotations

import html
import itertools
import re
import time
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, NotAcceptable, UnsupportedMediaType

DOCUMENT_PATH = Path(__file__).parent / "books.yaml"
DOCUMENT = yaml.safe_load(DOCUMENT_PATH.read_text(encoding="utf-8"))
ALLOWED = {"/books": "GET, POST", "/books/<book_id>": "GET, PUT"}


class RefusedError(Exception):
    """An answer of 4xx."""

    def __init__(self, status: int, error: str) -> None:
        """Take status and error."""
        super().__init__(error)
        self.status = status


@cache
def find_validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(DOCUMENT["components"]["schemas"]["NewBook"])


class Books:
    """The books. fault: what is wrong here; "" is nothing."""

    def __init__(self, fault: str) -> None:
        """Keep no books yet."""
        self.fault = fault
        self.books: dict[int, dict[str, Any]] = {}
        self.versions: dict[int, int] = {}
        self.ids = itertools.count(1)
        self.calls = itertools.count(1)

    # --- requests --------------------------------------------------------------------------------------------------

    def read_body(self) -> dict[str, Any]:
        if request.mimetype != "application/json" and not self.fault.startswith("content type is ignored"):
            raise UnsupportedMediaType
        body = request.get_json(force=True, silent=self.fault == "broken json is accepted")
        if body is None and self.fault == "broken json is accepted":
            body = {"title": "?", "shelf": "A00"}
        if self.fault == "deep json fails" and "[[[[[[[" in request.get_data(as_text=True):
            raise RuntimeError("planted")
        known = DOCUMENT["components"]["schemas"]["NewBook"]["properties"]
        if isinstance(body, dict) and self.fault != "ids are taken over":
            body = {key: value for key, value in body.items() if key in known}
        if self.fault == "numbers come as text" and isinstance(body, dict) and str(body.get("pages", "")).isdecimal():
            body = {**body, "pages": int(body["pages"])}
        if not find_validator().is_valid(body) and not self._lets_in(body):
            raise RefusedError(400, "the body does not fit its schema")
        assert isinstance(body, dict)
        return self._spoil(body)

    def _lets_in(self, body: Any) -> bool:
        is_open = self.fault == "pattern is open" and isinstance(body, dict) and "shelf" in body
        if self.fault == "year may be left out" and isinstance(body, dict) and body.get("print") == {}:
            return find_validator().is_valid({**body, "print": {"year": 2000}})
        return is_open and bool(re.match("[A-Z][0-9]{2}", str(body["shelf"]))) and isinstance(body.get("title"), str)

    def _spoil(self, body: dict[str, Any]) -> dict[str, Any]:
        title, pages, price = str(body["title"]), body.get("pages"), body.get("price")
        if self.fault == "null is refused" and body.get("note", "") is None:
            raise RefusedError(400, "no null")
        if self.fault == "fails beyond the basic plane" and any(ord(letter) > 0xFFFF for letter in title):
            raise RuntimeError("planted")
        if self.fault == "refuses percent signs" and "%" in title:
            raise RefusedError(400, "no percent signs")
        if self.fault == "pages have 32 bits" and pages:
            return {**body, "pages": int(pages) & 0xFFFFFFFF}
        if self.fault == "prices are cut to cents" and price:
            return {**body, "price": int(price * 100) / 100}
        if self.fault == "titles are escaped":
            return {**body, "title": html.escape(title)}
        if self.fault == "false is lost" and "is_lent" in body:
            return {**body, "is_lent": True}
        return body

    def find_book(self, text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < 1:
            raise RefusedError(400, "this is no id")
        if int(text) not in self.books:
            if self.fault == "anything is found" and self.books:
                return min(self.books)
            raise RefusedError(404, "no such book")
        return int(text)

    # --- operations ------------------------------------------------------------------------------------------------

    def list_books(self) -> Response:
        limits = request.args.getlist("limit")
        is_one_of_many = self.fault == "fails on a limit twice" and len(request.args.getlist("q")) == 1
        if (self.fault == "fails on a parameter twice" or is_one_of_many) and len(limits) > 1:
            raise RuntimeError("planted")
        number = next(self.calls)
        if (self.fault == "one in twenty is slow" and number % 20 == 0) or (
            self.fault == "large pages are slow" and limits == ["100"]
        ):
            time.sleep(0.4 if self.fault.startswith("one") else 1.1)
        if self.fault == "one in twenty fails" and number % 20 == 0:
            raise RuntimeError("planted")
        limit = limits[0] if limits else "20"
        if self.fault == "limits have 32 bits" and limit.isascii() and limit.isdigit():
            limit = str(int(limit) & 0xFFFFFFFF)
        if (
            not limit.isascii()
            or not limit.isdigit()
            or not 1 <= int(limit) <= 100
            or len(request.args.get("q", "")) > 50
        ):
            raise RefusedError(400, "this is no page")
        is_csv = request.accept_mimetypes.best_match(["application/json", "text/csv"])
        if not is_csv and self.fault != "accept is ignored":
            raise NotAcceptable
        if is_csv == "text/csv" and self.fault != "accept is ignored":
            return Response("id,title\n", content_type="text/csv")
        return jsonify(list(self.books.values())[: int(limit)])

    def create_book(self) -> Response:
        body = self.read_body()
        if self.fault.endswith("of new titles") and any(body["title"] == book["title"] for book in self.books.values()):
            raise RefusedError(400, "the title is taken")
        book = {"id": next(self.ids), **body, "readers": body.get("readers") or ["kim"]}
        self.books[book["id"]] = book
        self.versions[book["id"]] = 1
        response = jsonify(book)
        response.status_code = 201
        response.headers["Location"] = "/book/1" if self.fault == "location is wrong" else f"/books/{book['id']}"
        return response

    def get_book(self, book_id: str) -> Response:
        number = self.find_book(book_id)
        tag = self.tag_of(number)
        if request.headers.get("If-None-Match") == tag and self.fault != "never 304":
            return Response(status=304, headers={"ETag": tag})
        book = {**self.books[number], **({"password_hash": "x"} if self.fault == "hash is told" else {})}
        response = jsonify(book)
        response.headers["ETag"] = tag
        return response

    def put_book(self, book_id: str) -> Response:
        body = self.read_body()
        number = self.find_book(book_id)
        expected = request.headers.get("If-Match")
        if expected not in {None, "*", self.tag_of(number)} and self.fault != "if-match is ignored":
            raise RefusedError(412, "it has changed")
        self.books[number] = {"id": number, **body}
        self.versions[number] += 1
        return jsonify(self.books[number])

    def tag_of(self, number: int) -> str:
        return '"same"' if self.fault == "etag is constant" else f'"{number}-{self.versions[number]}"'

    # --- the app ---------------------------------------------------------------------------------------------------

    def build_app(self) -> Flask:
        app = Flask("books")
        app.register_error_handler(RefusedError, self._answer_refusal)
        app.register_error_handler(HTTPException, self._answer_http_error)
        app.add_url_rule("/books", "list_books", self.list_books, methods=["GET"], provide_automatic_options=False)
        app.add_url_rule("/books", "create_book", self.create_book, methods=["POST"], provide_automatic_options=False)
        app.add_url_rule(
            "/books/<book_id>", "get_book", self.get_book, methods=["GET"], provide_automatic_options=False
        )
        app.add_url_rule(
            "/books/<book_id>", "put_book", self.put_book, methods=["PUT"], provide_automatic_options=False
        )
        if self.fault == "paths go on":
            app.add_url_rule("/books/<book_id>/<rest>", "rest", lambda book_id, rest: self.get_book(book_id))  # noqa: ARG005
        for rule, methods in ALLOWED.items():
            app.add_url_rule(
                rule, f"preflight {rule}", self._answer_preflight, methods=["OPTIONS"], defaults={"allowed": methods}
            )
        app.before_request(self._refuse_head)
        app.after_request(self._let_browsers_in)
        return app

    def _refuse_head(self) -> Response | None:
        is_refused = request.method == "HEAD" and self.fault == "head is refused" and request.path != "/books"
        return Response(status=405, headers={"Allow": "GET"}) if is_refused else None

    def _answer_preflight(self, allowed: str, book_id: str = "") -> Response:
        if self.fault == "preflight names no put" and book_id:
            allowed = "GET"
        return Response(status=204, headers={"Access-Control-Allow-Methods": allowed})

    def _let_browsers_in(self, response: Response) -> Response:
        is_closed = self.fault == "browsers are kept out" and request.path != "/books" and request.method == "GET"
        if not is_closed:
            response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    def _answer_refusal(self, error: RefusedError) -> tuple[Response, int]:
        if error.status == 404 and self.fault == "404 is html":
            return Response("<h1>Not found</h1>", content_type="text/html"), 404
        text = 'File "/srv/books/app.py", line 7, in find' if self.fault == "traces leak" else str(error)
        return jsonify(error=text), error.status

    def _answer_http_error(self, error: HTTPException) -> tuple[Response, int, dict[str, str]]:
        allow = error.get_response().headers.get("Allow")
        return jsonify(error=error.name), error.code or 500, {"Allow": allow} if allow else {}
