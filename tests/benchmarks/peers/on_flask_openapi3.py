"""The service on flask-openapi3."""

from __future__ import annotations

from functools import wraps

import jwt
import orders
from flask import Response, request
from flask_openapi3 import Info, OpenAPI
from orders import Order, OrderList

app = OpenAPI(__name__, info=Info(title="Orders", version="1"))


def needs_token(view):
    @wraps(view)
    def guarded(**values):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return {"error": "no token"}, 401
        try:
            orders.verify(token)
        except jwt.PyJWTError:
            return {"error": "wrong token"}, 401
        return view(**values)

    return guarded


def answer(model, status=200):
    return Response(model.model_dump_json(), status, mimetype="application/json")


@app.get("/ping")
def ping():
    return {}


@app.post("/orders", responses={201: Order})
@needs_token
def create_order(body: Order):
    return answer(body, 201)


@app.get("/orders", responses={200: OrderList})
def list_orders():
    return answer(orders.ORDERS)
