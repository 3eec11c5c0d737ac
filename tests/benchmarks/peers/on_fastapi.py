"""The service on FastAPI."""

from __future__ import annotations

import os
from typing import Annotated

import jwt
import orders
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from orders import Batch, Order, OrderList

app = FastAPI()
bearer = HTTPBearer(auto_error=False)


async def needs_token(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]):
    if given is None:
        raise HTTPException(401, "no token")
    try:
        return orders.verify(given.credentials)
    except jwt.PyJWTError:
        raise HTTPException(401, "wrong token") from None


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {}


@app.post("/orders", status_code=201, dependencies=[Depends(needs_token)])
async def create_order(order: Order) -> Order:
    return order


@app.get("/orders")
async def list_orders() -> OrderList:
    return orders.ORDERS


@app.post("/batches")
async def count_lines(batch: Batch) -> dict[str, int]:
    return {"count": len(batch.lines)}


async def show_part(id: int) -> dict[str, int]:
    return {"id": id}


for number in range(int(os.environ.get("EXTRA_OPERATIONS", "0"))):
    app.get(f"/kind{number}/{{id}}")(show_part)
