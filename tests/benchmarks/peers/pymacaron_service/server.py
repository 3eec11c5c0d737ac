"""The service on pymacaron."""

from __future__ import annotations

from pymacaron import create_app

app = create_app(__name__, handlers="handlers")
