"""The service on Litestar, with msgspec's structs, the models that it is fastest with."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import jwt
import msgspec
from litestar import Litestar, get, post
from litestar.exceptions import NotAuthorizedException
from msgspec import Meta, Struct
from samples import AUDIENCE, ISSUER, SECRET
from samples import ORDERS as SAMPLES


class Address(Struct):
    street: Annotated[str, Meta(max_length=100)]
    city: Annotated[str, Meta(max_length=100)]
    postcode: Annotated[str, Meta(max_length=20)]
    country: Annotated[str, Meta(min_length=2, max_length=2)]


class Customer(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    email: Annotated[str, Meta(max_length=100)]
    address: Address


class Line(Struct):
    sku: Annotated[str, Meta(min_length=1, max_length=20)]
    quantity: Annotated[int, Meta(ge=1)]
    price: Annotated[float, Meta(ge=0)]


class Order(Struct):
    reference: Annotated[str, Meta(min_length=1, max_length=40)]
    customer: Customer
    lines: Annotated[list[Line], Meta(min_length=1)]
    currency: Literal["EUR", "GBP", "USD"]
    discount: Annotated[float, Meta(ge=0, le=1)]
    weight_kg: Annotated[float, Meta(ge=0)]
    is_gift: bool
    tags: list[str]
    placed_at: datetime
    deliver_on: date


class OrderList(Struct):
    orders: list[Order]


ORDERS = msgspec.convert({"orders": SAMPLES}, OrderList)


def needs_token(connection, _):
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer":
        raise NotAuthorizedException("no token")
    required = {"require": ["exp", "iss", "aud"]}
    try:
        jwt.decode(token, SECRET, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER, options=required)
    except jwt.PyJWTError:
        raise NotAuthorizedException("wrong token") from None


@get("/ping")
async def ping() -> dict[str, str]:
    return {}


@post("/orders", guards=[needs_token])
async def create_order(data: Order) -> Order:
    return data


@get("/orders")
async def list_orders() -> OrderList:
    return ORDERS


app = Litestar([ping, create_order, list_orders])
