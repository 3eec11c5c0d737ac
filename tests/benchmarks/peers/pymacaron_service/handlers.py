"""Handlers of orders.yaml."""

from __future__ import annotations

from apis.orders_models import Batch, Count, Order, OrderList
from samples import ORDERS as SAMPLES

ORDERS = OrderList.from_json({"orders": SAMPLES})


def create_order(order: Order) -> tuple[Order, int]:
    """Answer with the order itself."""
    return order, 201


def list_orders() -> OrderList:
    """Answer with all orders."""
    return ORDERS


def count_lines(batch: Batch) -> Count:
    """Tell how many lines there are."""
    return Count(count=len(batch.lines))


def show_part(id: int) -> dict[str, int]:
    """Answer one of many operations."""
    return {"id": id}
