"""What JSON values are to the type checker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# JSON is recursive and its values are narrowed where they are read: `Any` is the honest leaf.
Json = Any
JsonObject = dict[str, Any]
ReadOnlyJson = Mapping[str, Any]
