"""A service in plain Flask that keeps library.yaml, but for the one fault of state or lists that it is told to have."""

# ruff: noqa: D102 - the public methods are what library.yaml describes

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml
from flask import Flask, Response, abort, jsonify, request

DOCUMENT_PATH = Path(__file__).parent / "library.yaml"
SCHEMAS = yaml.safe_load(DOCUMENT_PATH.read_text(encoding="utf-8"))["components"]
DEFAULTS: dict[str, Any] = {"pages": 0, "note": None, "in_print": False, "shelf": None}


class Books:
    """The books. fault: what is wrong here; "" is nothing."""

    def __init__(self, fault: str) -> None:
        """Keep no books yet."""
        self.fault = fault
        self.lock = threading.RLock()
        self.books: dict[int, dict[str, Any]] = {}
        self.tags: dict[int, int] = {}
        self.first_shelves: dict[int, str] = {}
        self.answers: dict[str, tuple[Any, dict[str, Any]]] = {}
        self.last_id = 0

    def read_body(self, name: str) -> dict[str, Any]:
        schema = {"$ref": f"#/components/schemas/{name}", "components": SCHEMAS}
        body = request.get_json(force=True, silent=True)
        if not jsonschema_rs.Draft202012Validator(schema).is_valid(body):
            if self.fault == "refused creation is kept" and name == "NewBook":
                self.store(self.next_id(), {"title": "?", "genre": "novel"})
            abort(400)
        assert isinstance(body, dict)
        return body

    def store(self, number: int, values: dict[str, Any]) -> dict[str, Any]:
        book = {"id": number, "loans": 0, **DEFAULTS, **values}
        if book["shelf"] is None:
            book["shelf"] = "entrance"
        if self.fault == "pages in 32 bits":
            book["pages"] &= 0x7FFFFFFF
        if self.fault == "texts are Latin-1":
            book["title"] = book["title"].encode("latin-1", "replace").decode("latin-1")
        self.books[number] = book
        self.tags[number] = self.tags.get(number, 0) + (self.fault != "ETag is constant")
        return book

    def next_id(self) -> int:
        if self.fault == "ids are reused":
            return len(self.books) + 1
        number = self.last_id + 1
        if self.fault == "ids race":
            time.sleep(0.01)
        self.last_id = number
        return number

    def find(self, number: int) -> dict[str, Any]:
        if number not in self.books:
            abort(404)
        return self.books[number]

    def require_unique(self, title: str, number: int = 0) -> None:
        is_checked = self.fault != "titles are not unique"
        if is_checked and any(book["title"] == title and book["id"] != number for book in self.books.values()):
            abort(409)

    def require_version(self, number: int) -> None:
        wanted = request.headers.get("If-Match")
        if wanted and self.fault != "If-Match is ignored" and wanted != f'"{self.tags[number]}"':
            abort(412)

    def answer(self, number: int, status: int = 200) -> Response:
        response = jsonify(**self.books[number], here_for=time.monotonic())
        response.status_code = status
        response.headers["ETag"] = f'"{self.tags[number]}"'
        return response

    # --- operations ------------------------------------------------------------------------------------------------

    def create_book(self) -> Response:
        body = self.read_body("NewBook")
        key = request.headers.get("Idempotency-Key")
        if self.fault == "ids race":
            return self.answer(self.store(self.next_id(), body)["id"], 201)
        with self.lock:
            if key in self.answers and self.fault != "key is ignored":
                sent, book = self.answers[key]
                if sent != body:
                    abort(409)
                return self.answer(book["id"], 201)
            self.require_unique(body["title"])
            book = self.store(self.next_id(), body)
            if key:
                self.answers[key] = body, book
            return self.answer(book["id"], 201)

    def get_book(self, number: int) -> Response:
        self.find(number)
        return self.answer(number)

    def put_book(self, number: int) -> Response:
        body = self.read_body("NewBook")
        with self.lock:
            old = self.find(number)
            self.require_version(number)
            self.require_unique(body["title"], number)
            base = old if self.fault == "PUT keeps the rest" else {"loans": old["loans"]}
            self.store(number, {**base, **body})
            return self.answer(number)

    def patch_book(self, number: int) -> Response:
        body = self.read_body("BookChange")
        with self.lock:
            old = self.find(number)
            self.require_version(number)
            self.require_unique(body.get("title", ""), number)
            if self.fault == "false is not stored":
                body = {key: value for key, value in body.items() if value is not False}
            base = {**old, "note": None} if self.fault == "PATCH resets the note" else old
            if self.fault == "PATCH takes the first shelf":
                base = {**old, "shelf": self.first_shelves.setdefault(number, old["shelf"])}
            self.store(number, {**base, **body})
            return self.answer(number)

    def delete_book(self, number: int) -> tuple[str, int]:
        with self.lock:
            self.find(number)
            if self.fault != "deleted books stay":
                del self.books[number]
            return "", 204

    def lend_book(self, number: int) -> Response:
        copies = self.read_body("Loan")["copies"]
        loans = self.find(number)["loans"]
        if loans + copies < 0:
            abort(409)
        if self.fault == "loans get lost":
            time.sleep(0.01)
            self.books[number]["loans"] = loans + copies
        else:
            with self.lock:
                self.books[number]["loans"] += copies
        return self.answer(number)

    def list_books(self) -> Response:
        limit, offset = (int(request.args.get(name, text)) for name, text in (("limit", "50"), ("offset", "0")))
        genres = request.args["genre"].split(",") if "genre" in request.args else []
        least = int(request.args.get("min_pages", "0"))
        sort = request.args.get("sort", "")
        if not 1 <= limit <= 50 or offset < 0 or not {*genres} <= {"novel", "poetry", "drama"}:
            abort(400)
        found = list(self.books.values())
        if self.fault == "new books are not listed":
            found = found[:-1]
        if self.fault == "genre of the page only":
            found = found[offset : offset + limit] if genres else found
        if genres and self.fault != "genre is ignored":
            wanted = genres[:1] if self.fault == "only the first genre" else genres
            found = [book for book in found if book["genre"] in wanted]
        found = [book for book in found if book["pages"] >= least or self.fault == "least pages are ignored"]
        found = [book for book in found if self._has_text(book["title"], request.args.get("q", ""))]
        self._sort(found, sort)
        total = len(found)
        if self.fault == "offset counts from one":
            offset = max(offset - 1, 0)
        page = found[offset:] if self.fault == "limit is ignored" else found[offset : offset + limit]
        return jsonify(items=page, total=len(page) if self.fault == "total of the page" else total)

    def _has_text(self, title: str, text: str) -> bool:
        if self.fault == "text is ignored":
            return True
        return text in title if self.fault == "text minds case" else text.casefold() in title.casefold()

    def _sort(self, found: list[dict[str, Any]], sort: str) -> None:
        field = sort.removeprefix("-")
        if field not in {"pages", "title"}:
            return
        as_text = self.fault == "pages sorted as text"
        found.sort(
            key=lambda book: str(book[field]) if as_text else book[field],
            reverse=sort.startswith("-") and self.fault != "descending is ignored",
        )

    def build_app(self) -> Flask:
        app = Flask("books")
        rules = {"/books": ("list", "create"), "/books/<int:number>": ("get", "put", "patch", "delete")}
        methods = {"list": "GET", "create": "POST"}
        for rule, verbs in rules.items():
            for verb in verbs:
                name = f"{verb}_books" if verb == "list" else f"{verb}_book"
                app.add_url_rule(rule, name, getattr(self, name), methods=[methods.get(verb, verb.upper())])
        app.add_url_rule("/books/<int:number>/loans", "lend_book", self.lend_book, methods=["POST"])
        return app
