"""The service on APIFlask, with pydantic's models."""

from __future__ import annotations

import jwt
import orders
from apiflask import APIFlask, HTTPTokenAuth
from orders import Order, OrderList

app = APIFlask(__name__)
auth = HTTPTokenAuth(scheme="Bearer")


@auth.verify_token
def verify(token):
    try:
        return orders.verify(token)
    except jwt.PyJWTError:
        return None


@app.get("/ping")
def ping():
    return {}


@app.post("/orders")
@app.auth_required(auth)
@app.input(Order, location="json")
@app.output(Order, status_code=201)
def create_order(json_data):
    return json_data


@app.get("/orders")
@app.output(OrderList)
def list_orders():
    return orders.ORDERS
