"""A service in plain Flask that keeps pets.yaml, but for the one fault that it is told to have.

Names of pets are unique. The one good token is ``good-token``.
"""

# ruff: noqa: D102 - the public methods are what pets.yaml describes

from __future__ import annotations

import re
import time
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

DOCUMENT_PATH = Path(__file__).parent / "pets.yaml"
TEXT = DOCUMENT_PATH.read_text(encoding="utf-8")
DOCUMENT = yaml.safe_load(TEXT)
TOKEN = "good-token"
MAX_ID = 1_000_000


class RefusedError(Exception):
    """An answer of 4xx."""

    def __init__(self, status: int, error: str) -> None:
        """Take status and error."""
        super().__init__(error)
        self.status = status


@cache
def find_validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(DOCUMENT["components"]["schemas"][name])


def drop_unknown(body: Any) -> Any:
    known = DOCUMENT["components"]["schemas"]["NewPet"]["properties"]
    return {key: body[key] for key in body if key in known} if isinstance(body, dict) else body


class Pets:
    """The pets, and how requests are read. fault: what is wrong here; "" is nothing."""

    def __init__(self, fault: str) -> None:
        """Keep no pets yet."""
        self.fault = fault
        self.pets: dict[int, dict[str, Any]] = {}
        self.toys: dict[int, list[dict[str, Any]]] = {}
        self.last_id = 0
        self.requests = 0
        self.has_failed = False

    def read_body(self, name: str) -> dict[str, Any]:
        body: Any = request.get_json(force=True, silent=True)
        if not find_validator(name).is_valid(body) and not (name == "NewPet" and self._lets_in(body)):
            raise RefusedError(400, "the body does not fit its schema")
        assert isinstance(body, dict)
        return body

    def _lets_in(self, body: Any) -> bool:
        if not isinstance(body, dict):
            return False
        is_long = isinstance(body.get("name"), str) and len(body["name"]) > 40
        return (
            (self.fault == "accepts long names" and is_long)
            or self.fault == "accepts anything"
            or (self.fault == "accepts unknown keys" and find_validator("NewPet").is_valid(drop_unknown(body)))
        )

    def require_token(self, *, optional: bool = False) -> None:
        given = request.headers.get("Authorization")
        if given is None and optional and self.fault != "optional auth is demanded":
            return
        is_lax = self.fault == "auth is ignored" or (self.fault == "any token will do" and given)
        if given != f"Bearer {TOKEN}" and not is_lax:
            raise RefusedError(401, "who are you?")

    def read_id(self, text: str) -> int:
        is_number = text.isascii() and text.removeprefix("-").isdigit()
        if is_number and self.fault == "accepts negative ids" and int(text) < 1:
            return next(iter(self.pets), 0)
        if not is_number or not 1 <= int(text) <= MAX_ID:
            raise RefusedError(400, "this is no id")
        return int(text)

    def find_pet(self, text: str) -> dict[str, Any]:
        number = self.read_id(text)
        if number not in self.pets:
            raise RefusedError(404, "no such pet")
        return self.pets[number]

    def require_unique(self, name: object, number: int | None) -> None:
        if any(pet.get("name") == name and pet["id"] != number for pet in self.pets.values()):
            raise RefusedError(400 if self.fault == "conflicts are 400" else 409, "there is one of this name")

    def read_limit(self) -> int:
        text = request.args.get("limit", "20")
        is_number = text.isascii() and text.isdigit()
        if self.fault == "accepts any limit" and is_number:
            return int(text)
        most = 99 if self.fault == "refuses limit 100" else 100
        if not is_number or not 1 <= int(text) <= most:
            raise RefusedError(400, "this is no limit")
        return int(text)

    # --- operations ------------------------------------------------------------------------------------------------

    def list_pets(self) -> Response:
        limit, kind = self.read_limit(), request.args.get("kind")
        if kind not in {None, "cat", "dog"}:
            raise RefusedError(400, "this is no kind")
        found = [pet for pet in list(self.pets.values()) if kind in {None, pet.get("kind")}]
        response = jsonify(found[:limit])
        if self.fault != "header is missing":
            response.headers["X-Total"] = "many" if self.fault == "header is wrong" else str(len(found))
        return response

    def create_pet(self) -> tuple[Response, int]:
        self.require_token()
        body = self.read_body("NewPet")
        if self.fault == "refuses long names" and len(body["name"]) == 40:
            raise RefusedError(400, "too long")
        if self.fault == "refuses tags" and body.get("tags"):
            raise RefusedError(400, "no tags")
        if self.fault == "never creates":
            raise RefusedError(409, "not today")
        self.require_unique(body.get("name"), None)
        if self.fault == "fails once" and not self.has_failed:
            self.has_failed = True
            raise RuntimeError("planted")
        self.last_id += 1
        pet = self.pets[self.last_id] = {"id": self.last_id, **body}
        if self.fault == "id is text":
            return jsonify({**pet, "id": str(self.last_id)}), 201
        return jsonify(pet), 202 if self.fault == "undeclared status" else 201

    def get_pet(self, pet_id: str) -> Response:
        pet = self.find_pet(pet_id)
        if self.fault == "fails" or (self.fault == "fails on dogs" and pet["kind"] == "dog"):
            raise RuntimeError("planted")
        if self.fault == "loses kind":
            return jsonify({key: value for key, value in pet.items() if key != "kind"})
        if self.fault == "wrong media type":
            return Response(jsonify(pet).data, content_type="text/plain")
        if self.fault == "no json":
            return Response(b"{oops", content_type="application/json")
        if self.fault == "hangs":
            time.sleep(3)
        return jsonify(pet)

    def search_pets(self) -> Response:
        ids = request.args.getlist("ids")
        numbers = [*ids, *request.args.getlist("after")[:1], *request.headers.getlist("X-Trace")]
        if not ids or len(ids) > 20 or not all(re.fullmatch(r"-?\d+(\.0)?", text, re.ASCII) for text in numbers):
            raise RefusedError(400, "these are no numbers")
        if request.headers.get("X-Trace", "0").startswith("-"):
            raise RefusedError(400, "this is no trace")
        return jsonify([pet for pet in list(self.pets.values()) if str(pet["id"]) in ids])

    def put_pet(self, pet_id: str) -> Response:
        self.require_token()
        body = self.read_body("NewPet")
        pet = self.find_pet(pet_id)
        self.require_unique(body.get("name"), pet["id"])
        self.pets[pet["id"]] = {"id": pet["id"], **body}
        return jsonify(self.pets[pet["id"]])

    def delete_pet(self, pet_id: str) -> tuple[str, int]:
        if self.fault != "anybody deletes":
            self.require_token()
        pet = self.find_pet(pet_id)
        del self.pets[pet["id"]]
        self.toys.pop(pet["id"], None)
        if self.fault == "delete fails":
            raise RuntimeError("planted")
        return "", 204

    def create_toy(self, pet_id: str) -> tuple[Response, int]:
        self.require_token()
        body = self.read_body("Toy")
        self.toys.setdefault(self.find_pet(pet_id)["id"], []).append(body)
        return jsonify(body), 201

    def list_toys(self, pet_id: str) -> Response:
        self.require_token(optional=True)
        return jsonify(self.toys.get(self.find_pet(pet_id)["id"], []))

    # --- the app ---------------------------------------------------------------------------------------------------

    def build_app(self) -> Flask:
        app = Flask("pets")
        app.before_request(self._count)
        app.register_error_handler(RefusedError, lambda error: (jsonify(error=str(error)), error.status))
        app.register_error_handler(HTTPException, self._answer_http_error)
        routes = {"/pets": ("list", "create"), "/pets/<pet_id>/toys": ("list", "create")}
        for rule, verbs in routes.items():
            noun = "toy" if rule.endswith("toys") else "pet"
            app.add_url_rule(rule, f"list_{noun}s", getattr(self, f"{verbs[0]}_{noun}s"), methods=["GET"])
            app.add_url_rule(rule, f"create_{noun}", getattr(self, f"{verbs[1]}_{noun}"), methods=["POST"])
        for verb in ("get", "put", "delete"):
            app.add_url_rule("/pets/<pet_id>", f"{verb}_pet", getattr(self, f"{verb}_pet"), methods=[verb.upper()])
        app.add_url_rule("/search", "search_pets", self.search_pets)
        if self.fault == "undeclared method":
            app.add_url_rule("/pets/<pet_id>", "patch_pet", self.get_pet, methods=["PATCH"])
        app.add_url_rule("/openapi.yaml", "document", lambda: Response(TEXT, content_type="application/yaml"))
        app.add_url_rule("/metrics", "metrics", lambda: Response(f"requests {self.requests}\n", mimetype="text/plain"))
        app.add_url_rule("/counts", "counts", lambda: Response(f"counted {self.requests}\n", mimetype="text/plain"))
        return app

    def _count(self) -> None:
        self.requests += request.path.startswith(("/pets", "/search"))

    def _answer_http_error(self, error: HTTPException) -> tuple[Response, int, dict[str, str]]:
        allow = error.get_response().headers.get("Allow")
        headers = {"Allow": allow} if allow and self.fault != "no allow header" else {}
        return jsonify(error=error.name), error.code or 500, headers
