"""A service in plain Flask whose boards, and the cards on them, belong to users: private or shared by design.

What is told to be wrong with it: an operation id, which then forgets whose things are, or a word of its own.
"""

# ruff: noqa: D102 - the public methods are what boards.yaml describes

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, NotFound

DOCUMENT_PATH = Path(__file__).parent / "boards.yaml"
USERS = {"key-of-alice": "alice", "key-of-bob": "bob"}
Answer = Response | tuple[Response | str, int]


class Boards:
    """The boards. design: who may see and change them. fault: what is wrong here; "" is nothing.

    Designs: private: nobody else knows of them; read by all: others are refused changes with 403; shared: everybody
    does everything; published: those that say so are read by all; unlisted: who knows the number reads, also through
    the search; by role: everybody but a role that nobody has.
    """

    def __init__(self, design: str = "private", fault: str = "") -> None:
        """Keep no boards yet."""
        self.design, self.fault = design, fault
        self.boards: dict[int, dict[str, Any]] = {}
        self.cards: dict[int, dict[str, Any]] = {}
        self.kept: dict[object, Any] = {}
        self.last_id = 0

    @property
    def user(self) -> str:
        return USERS.get(request.headers.get("X-Key", ""), "")

    def make(self, store: dict[int, dict[str, Any]], **extra: Any) -> Answer:
        body: Any = (
            request.get_json(force=True, silent=True) if extra.get("title") is None else {"title": extra["title"]}
        )
        if not isinstance(body, dict) or not isinstance(body.get("title"), str) or not body["title"]:
            return jsonify(error="title"), 400
        if not isinstance(body.get("public", False), bool):
            return jsonify(error="public"), 400
        self.last_id += 1
        store[self.last_id] = {**body, "id": self.last_id, "_owner": self.user, "_board": extra.get("board")}
        return jsonify(show(store[self.last_id])), 201

    def sees(self, thing: dict[str, Any], operation: str) -> bool:
        is_open = self.design in {"shared", "read by all", "by role"} or (
            self.design == "unlisted" and operation != "list_boards"
        )
        is_published = self.design == "published" and bool(thing.get("public"))
        return thing["_owner"] == self.user or is_open or is_published or self.fault == operation

    def find(self, number: int, operation: str) -> dict[str, Any]:
        board = self.boards.get(number)
        if board is None or not self.sees(board, operation):
            raise NotFound
        return board

    def may_change(self, thing: dict[str, Any], operation: str) -> bool:
        return thing["_owner"] == self.user or self.design in {"shared", "by role"} or self.fault == operation

    # --- operations ------------------------------------------------------------------------------------------------

    def who_am_i(self) -> Answer:
        answer = {"username": self.user, "theme": "dark"}
        return jsonify(self.kept.setdefault("me", answer) if self.fault == "who_am_i" else answer)

    def list_boards(self) -> Answer:
        is_lax = self.fault == "filter forgets" and "state" in request.args
        boards = [one for one in list(self.boards.values()) if is_lax or self.sees(one, "list_boards")]
        return jsonify([show(one) for one in boards])

    def create_board(self) -> Answer:
        return self.make(self.boards)

    def get_board(self, board_id: int) -> Answer:
        if self.fault == "answers are kept" and board_id in self.kept:
            return jsonify(self.kept[board_id])
        board = self.find(board_id, "get_board")
        self.kept[board_id] = show(board)
        return jsonify(show(board))

    def change_board(self, board_id: int) -> Answer:
        body: Any = request.get_json(force=True, silent=True)
        if not isinstance(body, dict) or not isinstance(body.get("title"), str) or not body["title"]:
            return jsonify(error="title"), 400
        board = self.find(board_id, "change_board")
        if self.fault == "changes and refuses" or self.may_change(board, "change_board"):
            board.update({"title": body["title"]})
        if not self.may_change(board, "change_board"):
            return jsonify(error="not yours"), 403
        return jsonify(show(board))

    def delete_board(self, board_id: int) -> Answer:
        if self.design == "deletes quietly" and self.boards.get(board_id, {}).get("_owner") != self.user:
            return "", 204
        board = self.find(board_id, "delete_board")
        if self.fault == "crashes for others" and board["_owner"] != self.user:
            raise RuntimeError("planted")
        if not self.may_change(board, "delete_board"):
            return jsonify(error="not yours"), 403
        del self.boards[board_id]
        return "", 204

    def copy_board(self, board_id: int) -> Answer:
        return self.make(self.boards, title=self.find(board_id, "copy_board")["title"])

    def list_cards(self, board_id: int) -> Answer:
        self.find(board_id, "list_cards")
        return jsonify([show(card) for card in list(self.cards.values()) if card["_board"] == board_id])

    def create_card(self, board_id: int) -> Answer:
        self.find(board_id, "create_card")
        return self.make(self.cards, board=board_id)

    def find_card(self, board_id: int, card_id: int, operation: str) -> dict[str, Any]:
        self.find(board_id, operation)
        card = self.cards.get(card_id)
        if card is None or (card["_board"] != board_id and self.fault != f"{operation} anywhere"):
            raise NotFound
        return card

    def get_card(self, board_id: int, card_id: int) -> Answer:
        return jsonify(show(self.find_card(board_id, card_id, "get_card")))

    def delete_card(self, board_id: int, card_id: int) -> Answer:
        self.find_card(board_id, card_id, "delete_card")
        del self.cards[card_id]
        return "", 204

    def search_boards(self) -> Answer:
        text = request.args.get("q", "")
        boards = [one for one in list(self.boards.values()) if self.sees(one, "search_boards")]
        return jsonify(q=text, hits=[{"id": one["id"], "text": one["title"]} for one in boards if text in one["title"]])

    def get_status(self) -> Answer:
        return jsonify(ok=True)

    # --- the app ---------------------------------------------------------------------------------------------------

    def build_app(self) -> Flask:
        app = Flask("boards")
        app.before_request(self.require_user)
        app.register_error_handler(HTTPException, lambda error: (jsonify(error=error.name), error.code or 500))
        for path, item in yaml.safe_load(DOCUMENT_PATH.read_text(encoding="utf-8"))["paths"].items():
            rule = path.replace("{board_id}", "<int:board_id>").replace("{card_id}", "<int:card_id>")
            for method in set(item) - {"parameters"}:
                name = item[method]["operationId"]
                app.add_url_rule(rule, name, getattr(self, name), methods=[method.upper()])
        return app

    def require_user(self) -> Answer | None:
        if self.user or request.path == "/status":
            return None
        return jsonify(error="who are you?"), 401


def show(thing: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in thing.items() if not key.startswith("_")}
