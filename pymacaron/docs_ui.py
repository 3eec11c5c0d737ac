"""The API reference at /doc, which needs no network, and the documents below it."""

from __future__ import annotations

import importlib.util
import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from flask import Blueprint, Flask, Response, abort, render_template, request, send_from_directory

from pymacaron.exceptions import ConfigError, Finding
from pymacaron.service import Service, current_service

if TYPE_CHECKING:
    from pymacaron.spec import Api

PAGE_FOLDER = Path(__file__).parent / "templates" / "doc"
UI_PACKAGE = "flask_openapi3_swagger"
_BUILTIN = ("ping", "crash")
# Swagger UI draws with inline styles and data: images; scripts, requests and forms stay on this host.
# Source: Content Security Policy Level 3, section 6.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


def publish(app: Flask, path: str = "doc") -> None:
    """Serve the documents of the service in *app*.

    ``/<path>`` and ``/<path>/<api>``: the reference as a page. ``/<path>/<api>.yaml``: the document as it was written,
    or one of several files put together, in OpenAPI 3.1.
    ``/<path>/<api>.json``: the same in OpenAPI 3.1, its ``servers`` being this one.
    Raises: ConfigError: Swagger UI is not installed.
    """
    doc = Blueprint(
        "pymacaron_doc",
        __name__,
        url_prefix=f"/{path.strip('/')}",
        static_folder=find_ui_assets(),
        static_url_path=f"/ui/{version(UI_PACKAGE)}",
        template_folder=PAGE_FOLDER,
    )
    doc.add_url_rule("", "index", _show_page)
    doc.add_url_rule("/<name>", "page", _show_page)
    doc.add_url_rule("/<name>.yaml", "yaml", _send_yaml)
    doc.add_url_rule("/<name>.json", "json", _send_json)
    doc.add_url_rule("/ui/<any('page.css', 'page.js'):name>", "asset", _send_asset)
    app.register_blueprint(doc)


def find_ui_assets(package: str = UI_PACKAGE) -> Path:
    """Return the folder of Swagger UI's ``css`` and ``js`` inside *package*, without importing the package.

    Raises: ConfigError: it is not installed, or holds no such folder.
    """
    spec = importlib.util.find_spec(package)
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "templates" / "swagger"
        if folder.is_dir():
            return folder
    fix = f"Run pip install {package.replace('_', '-')}"
    raise ConfigError(Finding(package, "Swagger UI, which draws the API reference, is not in it", fix))


def _show_page(name: str | None = None) -> Response:
    apis = _sorted_apis(current_service())
    if not apis:
        abort(404, "This service has no document")
    chosen = _find_api(name or apis[0].name)
    response = Response(render_template("pymacaron_doc.html", apis=apis, chosen=chosen))
    response.headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return _send(response)


def _send_yaml(name: str) -> Response:
    api = _find_api(name)
    # The text of a document in several files refers to files that are not served.
    text = yaml.safe_dump(api.document, sort_keys=False, allow_unicode=True) if api.files else api.text
    # Source: RFC 9512, application/yaml.
    return _send(Response(text, content_type="application/yaml"))


def _send_json(name: str) -> Response:
    api = _find_api(name)
    base_path = api.base_path if current_service().config.use_base_path else ""
    document = {**api.document, "servers": [{"url": f"{request.script_root}{base_path}" or "/"}]}
    return _send(Response(json.dumps(document, ensure_ascii=False), content_type="application/json"))


def _send_asset(name: str) -> Response:
    return send_from_directory(PAGE_FOLDER, name)


def _send(response: Response) -> Response:
    """Let browsers keep *response* as long as it stays the same, and take its type as it is."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.add_etag()
    response.make_conditional(request)
    return response


def _sorted_apis(service: Service) -> list[Api]:
    """Return the service's own documents by name, then the built-in ones."""
    return sorted(service.apis.values(), key=lambda api: (api.name in _BUILTIN, api.name))


def _find_api(name: str) -> Api:
    apis = current_service().apis
    if name not in apis:
        abort(404, f"This service has no document {name}; it has {', '.join(sorted(apis))}")
    return apis[name]
