"""A small service of its own for each test that asks for one."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from pymacaron.app import API
from pymacaron.config import set_config

CONFIG = "name: pets\njwt_secret: 0123456789abcdef0123456789abcdef\njwt_issuer: pets.test\njwt_audience: pets\n"
PETS = """\
openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets:
    get:
      operationId: listPets
      parameters:
        - {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 100, default: 20}}
        - {name: tag, in: query, schema: {type: array, items: {type: string}}}
        - {name: X-Tenant, in: header, schema: {type: string, maxLength: 5}}
        - {name: session, in: cookie, schema: {type: integer}}
      responses:
        "200": {description: all, content: {application/json: {schema: {$ref: "#/components/schemas/Pets"}}}}
    post:
      operationId: createPet
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/NewPet"}}}}
      responses:
        "201": {description: made, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
        "400": {description: wrong}
  /pets/{petId}:
    get:
      operationId: getPet
      parameters: [{name: petId, in: path, required: true, schema: {type: integer}}]
      responses:
        "200": {description: one, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
        "404": {description: none}
    delete:
      operationId: deletePet
      parameters: [{name: petId, in: path, required: true, schema: {type: integer}}]
      responses:
        "204": {description: gone}
components:
  schemas:
    NewPet:
      type: object
      required: [name]
      additionalProperties: false
      properties:
        name: {type: string, minLength: 1}
        tag: {type: string}
        born: {type: [string, "null"], format: date-time}
    Pet:
      type: object
      required: [id, name]
      properties:
        name: {type: string, minLength: 1}
        tag: {type: string}
        born: {type: [string, "null"], format: date-time}
        id: {type: integer}
    Pets: {type: array, items: {$ref: "#/components/schemas/Pet"}}
"""
HANDLERS = """\
from pymacaron.pool import apipool

def list_pets(limit, tag=None, x_tenant=None, session=None):
    name = f"limit={limit!r} tag={tag!r} x_tenant={x_tenant!r} session={session!r}"
    return [apipool.pets.Pet(id=1, name=name)]

def create_pet(body):
    return apipool.pets.Pet(id=7, **body.model_dump(exclude_unset=True)), 201

def get_pet(pet_id):
    return apipool.pets.Pet(id=pet_id, name="Rex")

def delete_pet(pet_id):
    return None
"""
MakeService = Callable[..., Flask]


@pytest.fixture
def pets_document() -> str:
    """Return the document that `make_service` serves by default."""
    return PETS


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[MakeService]:
    """Build a service in a folder of its own: ``make_service(document=…, handlers=…, config=…, **options of API)``.

    app_class: of the app. prepare: called with the app before it is set up as a service.
    """
    modules, paths = set(sys.modules), list(sys.path)

    def make(document: str = PETS, handlers: str = HANDLERS, config: str = CONFIG, **options: Any) -> Flask:
        folder = tmp_path / f"s{uuid4().hex}"
        (folder / "apis").mkdir(parents=True)
        module = f"handlers_{uuid4().hex}"
        (folder / "apis" / "pets.yaml").write_text(document.replace("{module}", module))
        (folder / "pym-config.yaml").write_text(config)
        (folder / f"{module}.py").write_text(textwrap.dedent(handlers))
        app: Flask = options.pop("app_class", Flask)("svc", root_path=str(folder))
        options.pop("prepare", lambda _app: None)(app)
        options.setdefault("debug", True)
        API(app, handlers=options.pop("handlers_module", module), **options).load_apis().start()
        return app

    yield make
    set_config(None)
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        if name.startswith("handlers_"):
            del sys.modules[name]
