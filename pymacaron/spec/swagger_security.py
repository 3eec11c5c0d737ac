"""Security schemes of Swagger 2.0 -> those of OpenAPI 3."""

from __future__ import annotations

from pymacaron.json_types import JsonObject

_FLOWS = {"application": "clientCredentials", "accessCode": "authorizationCode"}
_FLOW_FIELDS = ("authorizationUrl", "tokenUrl", "scopes")


def upgrade_scheme(scheme: JsonObject) -> JsonObject:
    """Return *scheme* (``basic``, ``apiKey`` or ``oauth2``) as OpenAPI 3 writes it; other types stay as they are."""
    if scheme.get("type") == "basic":
        return {key: value for key, value in scheme.items() if key != "type"} | {"type": "http", "scheme": "basic"}
    if scheme.get("type") != "oauth2":
        return dict(scheme)
    flow = scheme.get("flow", "")
    kept = {key: value for key, value in scheme.items() if key not in (*_FLOW_FIELDS, "flow")}
    fields = {key: scheme[key] for key in _FLOW_FIELDS if key in scheme}
    return kept | {"flows": {_FLOWS.get(flow, flow): {"scopes": {}} | fields}}
