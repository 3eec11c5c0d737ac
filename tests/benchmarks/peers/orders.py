"""The orders as pydantic models, and the check of a token, for the services whose code is written by hand."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import jwt
from pydantic import BaseModel, Field
from samples import AUDIENCE, ISSUER, SECRET
from samples import ORDERS as SAMPLES


class Address(BaseModel):
    """Where somebody lives."""

    street: Annotated[str, Field(max_length=100)]
    city: Annotated[str, Field(max_length=100)]
    postcode: Annotated[str, Field(max_length=20)]
    country: Annotated[str, Field(min_length=2, max_length=2)]


class Customer(BaseModel):
    """Who buys."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    email: Annotated[str, Field(max_length=100)]
    address: Address


class Line(BaseModel):
    """What is bought."""

    sku: Annotated[str, Field(min_length=1, max_length=20)]
    quantity: Annotated[int, Field(ge=1)]
    price: Annotated[float, Field(ge=0)]


class Order(BaseModel):
    """Ten fields."""

    reference: Annotated[str, Field(min_length=1, max_length=40)]
    customer: Customer
    lines: Annotated[list[Line], Field(min_length=1)]
    currency: Literal["EUR", "GBP", "USD"]
    discount: Annotated[float, Field(ge=0, le=1)]
    weight_kg: Annotated[float, Field(ge=0)]
    is_gift: bool
    tags: list[str]
    placed_at: datetime
    deliver_on: date


class OrderList(BaseModel):
    """Some orders."""

    orders: list[Order]


class Batch(BaseModel):
    """A body of any size."""

    lines: list[Line]


ORDERS = OrderList.model_validate({"orders": SAMPLES})


def verify(token: str) -> dict[str, object]:
    """Return the claims of *token*. Raises: jwt.PyJWTError: it is not to be trusted."""
    claims: dict[str, object] = jwt.decode(
        token,
        SECRET,
        algorithms=["HS256"],
        audience=AUDIENCE,
        issuer=ISSUER,
        options={"require": ["exp", "iss", "aud"]},
    )
    return claims
