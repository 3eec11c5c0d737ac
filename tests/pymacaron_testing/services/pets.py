"""A service in plain Flask that keeps pets.yaml, but for the one fault that it is told to have.

Usage: python pets.py PORT [FAULT]. Names of pets are unique. The one good token is ``good-token``.
"""

from __future__ import annotations

import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

PORT = int(sys.argv[1])
FAULT = sys.argv[2] if len(sys.argv) > 2 else ""
TEXT = (Path(__file__).parent / "pets.yaml").read_text(encoding="utf-8")
DOCUMENT = yaml.safe_load(TEXT)
TOKEN = "good-token"
MAX_ID = 1_000_000

app = Flask(__name__)
app.json.sort_keys = False  # type: ignore[attr-defined]
pets: dict[int, dict[str, Any]] = {}
toys: dict[int, list[dict[str, Any]]] = {}
requests_seen = 0


class RefusedError(Exception):
    """An answer of 4xx."""

    def __init__(self, status: int, error: str) -> None:  # noqa: D107
        super().__init__(error)
        self.status = status


@app.errorhandler(RefusedError)
def refuse(error: RefusedError) -> tuple[Response, int]:
    return jsonify(error=str(error)), error.status


@app.errorhandler(HTTPException)
def answer_http_error(error: HTTPException) -> tuple[Response, int, dict[str, str]]:
    allow = error.get_response().headers.get("Allow")
    headers = {"Allow": allow} if allow and FAULT != "no allow header" else {}
    return jsonify(error=error.name), error.code or 500, headers


@cache
def find_validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(DOCUMENT["components"]["schemas"][name])


def read_body(name: str) -> dict[str, Any]:
    body = request.get_json(force=True, silent=True)
    if not find_validator(name).is_valid(body):
        is_let_in = (
            (FAULT == "accepts long names" and isinstance(body, dict) and len(str(body.get("name"))) > 40)
            or (FAULT == "accepts anything" and isinstance(body, dict))
            or (FAULT == "accepts unknown keys" and find_validator(name).is_valid(without_unknown(body)))
        )
        if not is_let_in or name == "Toy":
            raise RefusedError(400, "the body does not fit its schema")
    assert isinstance(body, dict)
    return body


def without_unknown(body: Any) -> Any:
    known = DOCUMENT["components"]["schemas"]["NewPet"]["properties"]
    return {key: body[key] for key in body if key in known} if isinstance(body, dict) else body


def require_token(*, optional: bool = False) -> None:
    given = request.headers.get("Authorization")
    if given is None and optional and FAULT != "optional auth is demanded":
        return
    if FAULT == "auth is ignored":
        return
    if FAULT == "any token will do" and given:
        return
    if given != f"Bearer {TOKEN}":
        raise RefusedError(401, "who are you?")


def read_id(text: str) -> int:
    is_number = text.isascii() and text.removeprefix("-").isdigit() and text != "-"
    if is_number and FAULT == "accepts negative ids" and -10_000_000 < int(text) < 1:
        return next(iter(pets), 0)
    if not is_number or not 1 <= int(text) <= MAX_ID:
        raise RefusedError(400, "this is no id")
    return int(text)


def find_pet(text: str) -> dict[str, Any]:
    number = read_id(text)
    if number not in pets:
        raise RefusedError(404, "no such pet")
    return pets[number]


def require_unique(name: str, number: int | None) -> None:
    if any(pet.get("name") == name and pet["id"] != number for pet in pets.values()):
        raise RefusedError(400 if FAULT == "conflicts are 400" else 409, "there is one of this name")


def read_limit() -> int:
    text = request.args.get("limit", "20")
    is_number = text.isascii() and text.isdigit()
    if FAULT == "accepts any limit" and is_number:
        return int(text)
    if not is_number or not 1 <= int(text) <= 100:
        raise RefusedError(400, "this is no limit")
    if FAULT == "refuses limit 100" and int(text) == 100:
        raise RefusedError(400, "this is no limit")
    return int(text)


@app.get("/pets")
def list_pets() -> Response:
    limit, kind = read_limit(), request.args.get("kind")
    if kind not in {None, "cat", "dog"}:
        raise RefusedError(400, "this is no kind")
    found = [pet for pet in pets.values() if kind in {None, pet["kind"]}]
    response = jsonify(found[:limit])
    if FAULT != "header is missing":
        response.headers["X-Total"] = "many" if FAULT == "header is wrong" else str(len(found))
    return response


@app.post("/pets")
def create_pet() -> tuple[Response, int]:
    require_token()
    body = read_body("NewPet")
    if FAULT == "refuses long names" and len(body["name"]) == 40:
        raise RefusedError(400, "too long")
    if FAULT == "refuses tags" and body.get("tags"):
        raise RefusedError(422, "no tags")
    if FAULT == "never creates":
        raise RefusedError(409, "not today")
    require_unique(str(body.get("name")), None)
    number = len(pets) + len(toys) + 1
    while number in pets:
        number += 1
    pets[number] = {"id": number, **body}
    if FAULT == "id is text":
        return jsonify({**pets[number], "id": str(number)}), 201
    if FAULT == "undeclared status":
        return jsonify(pets[number]), 202
    return jsonify(pets[number]), 201


@app.get("/pets/<pet_id>")
def get_pet(pet_id: str) -> Response:
    pet = find_pet(pet_id)
    if FAULT == "fails":
        raise RuntimeError("planted")
    if FAULT == "fails on dogs" and pet["kind"] == "dog":
        raise RuntimeError("planted")
    if FAULT == "loses kind":
        return jsonify({key: value for key, value in pet.items() if key != "kind"})
    if FAULT == "wrong media type":
        return Response(jsonify(pet).data, content_type="text/plain")
    if FAULT == "no json":
        return Response(b"{oops", content_type="application/json")
    if FAULT == "hangs":
        time.sleep(60)
    return jsonify(pet)


@app.put("/pets/<pet_id>")
def put_pet(pet_id: str) -> Response:
    require_token()
    body = read_body("NewPet")
    pet = find_pet(pet_id)
    require_unique(str(body.get("name")), pet["id"])
    pets[pet["id"]] = {"id": pet["id"], **body}
    return jsonify(pets[pet["id"]])


@app.delete("/pets/<pet_id>")
def delete_pet(pet_id: str) -> tuple[str, int]:
    if FAULT != "anybody deletes":
        require_token()
    pet = find_pet(pet_id)
    del pets[pet["id"]]
    toys.pop(pet["id"], None)
    if FAULT == "delete fails":
        raise RuntimeError("planted")
    return "", 204


@app.post("/pets/<pet_id>/toys")
def create_toy(pet_id: str) -> tuple[Response, int]:
    require_token()
    body = read_body("Toy")
    toys.setdefault(find_pet(pet_id)["id"], []).append(body)
    return jsonify(body), 201


@app.get("/pets/<pet_id>/toys")
def list_toys(pet_id: str) -> Response:
    require_token(optional=True)
    return jsonify(toys.get(find_pet(pet_id)["id"], []))


if FAULT == "undeclared method":
    app.add_url_rule("/pets/<pet_id>", "patch_pet", get_pet, methods=["PATCH"])


@app.get("/openapi.yaml")
def send_document() -> Response:
    return Response(TEXT, content_type="application/yaml")


if __name__ == "__main__":
    app.run(port=PORT, threaded=True)
