"""What a message of a task says of itself, for every broker."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any


def find_due(headers: Mapping[str, Any]) -> float:
    """Return when a message may be delivered, seconds since 1970: its ETA, 0 if it has none."""
    eta = headers.get("eta")
    return datetime.fromisoformat(eta).timestamp() if eta else 0.0


def find_age(message: str | bytes) -> float | None:
    """Return how long a message in kombu's form has waited: seconds since it was queued, or since its ETA.

    None for one of another program.
    """
    try:
        content = json.loads(message)
        body = json.loads(base64.b64decode(content["body"]))
        since_s = max(float(body[0][0]["queued_at"]), find_due(content["headers"]))
    except (ValueError, LookupError, TypeError):
        return None
    return max(0.0, time.time() - since_s)
