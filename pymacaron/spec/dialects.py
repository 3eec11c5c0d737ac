"""The dialects of JSON Schema that a schema may say it is written in."""

from __future__ import annotations

import re
from typing import Final

from pymacaron.json_types import JsonObject

# Source: OpenAPI 3.1 and 3.2, "JSON Schema Dialect": 2020-12 with OpenAPI's own keywords.
_STANDARD = re.compile(r"https://(json-schema\.org/draft/2020-12/schema|spec\.openapis\.org/oas/3\.[12]/dialect/.+)#?")
_KNOWN = re.compile(r"https?://json-schema\.org/(draft-0[467]/schema|draft/20(19-09|20-12)/schema)#?")
_ANNOTATIONS: Final = {"$ref", "$schema", "title", "description", "$comment", "default", "examples", "definitions"}


def is_standard_dialect(uri: str) -> bool:
    """Tell whether schemas of the dialect *uri* mean what JSON Schema 2020-12 says."""
    return bool(_STANDARD.fullmatch(uri))


def is_known_dialect(uri: str) -> bool:
    """Tell whether *uri* names one of JSON Schema's own drafts, from 4 on, or the dialect of OpenAPI."""
    return bool(_KNOWN.fullmatch(uri)) or is_standard_dialect(uri)


def means_something_else(schema: JsonObject) -> bool:
    """Tell whether one schema of an older draft, its inner ones left aside, would mean something else in 2020-12."""
    if isinstance(schema.get("items"), list) or isinstance(schema.get("exclusiveMinimum"), bool):
        return True
    if isinstance(schema.get("exclusiveMaximum"), bool) or str(schema.get("$id", "")).startswith("#"):
        return True
    if any(key in schema for key in ("additionalItems", "dependencies", "id")):
        return True
    return "$ref" in schema and bool(schema.keys() - _ANNOTATIONS)
