"""The orders that all services answer with, as JSON, and the token that they ask for; needs no package."""

from __future__ import annotations

SECRET = "0123456789abcdef0123456789abcdef"
ISSUER = "orders.test"
AUDIENCE = "orders"
USER = "anna"
LIST_LENGTH = 20


def make_order(number: int) -> dict[str, object]:
    """Return an order: ten fields, with nested objects, floats and dates."""
    return {
        "reference": f"2026-{number:05}",
        "customer": {
            "name": "Ada Lovelace",
            "email": "ada@example.com",
            "address": {"street": "12 St James's Square", "city": "London", "postcode": "SW1Y 4JH", "country": "GB"},
        },
        "lines": [make_line(number), make_line(number + 1)],
        "currency": "EUR",
        "discount": 0.125,
        "weight_kg": 3.75 + number,
        "is_gift": number % 2 == 0,
        "tags": ["spring", "fragile"],
        "placed_at": f"2026-03-{1 + number % 28:02}T12:30:45Z",
        "deliver_on": f"2026-04-{1 + number % 28:02}",
    }


def make_line(number: int) -> dict[str, object]:
    """Return a line of an order, about 50 bytes of JSON."""
    return {"sku": f"AB-{number:06}", "quantity": 1 + number % 9, "price": 19.95 + number}


ORDERS = [make_order(number) for number in range(LIST_LENGTH)]
