"""The service on Connexion 3's AsyncApp, with pymacaron's document; it answers with dicts."""

from __future__ import annotations

from pathlib import Path

import jwt
import yaml
from connexion import AsyncApp
from connexion.exceptions import OAuthProblem
from connexion.resolver import RelativeResolver
from samples import AUDIENCE, ISSUER, ORDERS, SECRET

DOCUMENT = Path(__file__).parent / "pymacaron_service" / "apis" / "orders.yaml"


def find_claims(token):
    required = {"require": ["exp", "iss", "aud"]}
    try:
        return jwt.decode(token, SECRET, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER, options=required)
    except jwt.PyJWTError:
        raise OAuthProblem("wrong token") from None


async def ping():
    return {}


async def create_order(body):
    return body, 201


async def list_orders():
    return {"orders": ORDERS}


def adapt(document):
    """Return the document with a ping, as OpenAPI 3.0, the newest version that Connexion reads."""
    answers = {"200": {"description": "Up.", "content": {"application/json": {"schema": {"type": "object"}}}}}
    document["openapi"] = "3.0.3"
    document["paths"]["/ping"] = {"get": {"operationId": "ping", "responses": answers}}
    del document["paths"]["/batches"]
    document["components"]["securitySchemes"]["token"]["x-bearerInfoFunc"] = "on_connexion.find_claims"
    return document


app = AsyncApp(__name__)
app.add_api(adapt(yaml.safe_load(DOCUMENT.read_text())), resolver=RelativeResolver("on_connexion"))
