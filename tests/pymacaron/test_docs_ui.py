from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from werkzeug.serving import make_server

from pymacaron import docs_ui
from pymacaron.builtin import BUILTIN_FOLDER
from pymacaron.config import PymConfig
from pymacaron.exceptions import ConfigError
from pymacaron.service import Service, service_of
from pymacaron.spec import load_spec, parse_spec

PETS = """\
# A comment that must survive
openapi: 3.1.0
info: {title: "Pets & <b>more</b>", version: "7"}
servers: [{url: "https://pets.example.com/v1"}]
paths:
  /pets/{petId}:
    get:
      operationId: getPet
      tags: [Pets]
      parameters: [{name: petId, in: path, required: true, schema: {type: integer}}]
      responses:
        "200":
          description: one
          content:
            application/json:
              schema: {$ref: "#/components/schemas/Pet"}
components:
  schemas:
    Pet:
      type: object
      required: [name]
      properties:
        name: {type: string, const: Rex}
        born: {type: [string, "null"], format: date}
"""
CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--virtual-time-budget=20000",
)


def make_app(path: str = "doc", **config: Any) -> Flask:
    app = Flask("svc")
    service = Service(app=app, config=PymConfig.model_validate({"name": "pets", **config}))
    app.extensions["pymacaron"] = service
    for api in (load_spec(BUILTIN_FOLDER / "ping.yaml"), parse_spec(PETS, source="apis/pets.yaml", name="pets")):
        service.apis[api.name] = api
    docs_ui.publish(app, path)
    return app


def test_index_shows_the_services_own_document_and_links_all() -> None:
    """/doc opens the first document of the service itself; the built-in ones come last."""
    page = make_app().test_client().get("/doc")
    assert page.status_code == 200
    assert 'data-document="/doc/pets.json"' in page.text
    assert page.text.index('href="/doc/pets"') < page.text.index('href="/doc/ping"')
    assert "<title>Pets &amp; &lt;b&gt;more&lt;/b&gt; 7</title>" in page.text


def test_page_of_one_document() -> None:
    """/doc/<api> opens that document."""
    page = make_app().test_client().get("/doc/ping")
    assert 'data-document="/doc/ping.json"' in page.text


def test_page_forbids_other_hosts() -> None:
    """Scripts, styles, requests and forms of the page stay on this host."""
    policy = make_app().test_client().get("/doc").headers["Content-Security-Policy"]
    assert policy == (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )


def test_yaml_is_the_document_as_written() -> None:
    """/doc/<api>.yaml is the file, comments and all, and is not sent twice."""
    client = make_app().test_client()
    answer = client.get("/doc/pets.yaml")
    assert (answer.status_code, answer.content_type, answer.text) == (200, "application/yaml", PETS)
    assert client.get("/doc/pets.yaml", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_yaml_of_several_files_is_put_together(tmp_path: Path) -> None:
    """Files that are referred to are not served, so the document comes with what is in them."""
    (tmp_path / "parts.yaml").write_text(PETS)
    reference = "{$ref: 'parts.yaml#/components/schemas/Pet'}"
    (tmp_path / "split.yaml").write_text(PETS.replace('{$ref: "#/components/schemas/Pet"}', reference))
    app = make_app()
    service_of(app).apis["split"] = load_spec(tmp_path / "split.yaml")
    text = app.test_client().get("/doc/split.yaml").text
    assert "parts.yaml" not in text
    assert parse_spec(text, source="split.yaml", name="split").operations


@pytest.mark.parametrize(
    ("config", "prefix", "url"),
    [
        pytest.param({}, "", "/", id="this host"),
        pytest.param({"use_base_path": True}, "", "/v1", id="under the document's base path"),
        pytest.param({}, "/mounted", "/mounted", id="behind a proxy that adds a prefix"),
    ],
)
def test_json_names_this_server(config: dict[str, Any], prefix: str, url: str) -> None:
    """/doc/<api>.json is the document in OpenAPI 3.1, and what is tried out from it goes to this service."""
    answer = make_app(**config).test_client().get("/doc/pets.json", environ_overrides={"SCRIPT_NAME": prefix})
    assert answer.content_type == "application/json"
    document = json.loads(answer.text)
    assert document["servers"] == [{"url": url}]
    assert document["paths"] == yaml.safe_load(PETS)["paths"]


@pytest.mark.parametrize("path", ["/doc/cats", "/doc/cats.yaml", "/doc/cats.json"])
def test_unknown_document(path: str) -> None:
    """A document that is not served is a 404 that names those that are."""
    answer = make_app().test_client().get(path)
    assert answer.status_code == 404
    assert "This service has no document cats; it has pets, ping" in answer.text


def test_no_document() -> None:
    """A service without any document answers 404."""
    app = Flask("svc")
    app.extensions["pymacaron"] = Service(app=app, config=PymConfig())
    docs_ui.publish(app)
    assert app.test_client().get("/doc").status_code == 404


def test_other_path() -> None:
    """The reference can live elsewhere."""
    client = make_app(path="/api/reference/").test_client()
    assert 'data-document="/api/reference/pets.json"' in client.get("/api/reference").text
    assert client.get("/doc").status_code == 404


def test_assets_come_from_the_installed_package() -> None:
    """Each script and style that the page names is served; nothing else of our folder is."""
    client = make_app().test_client()
    words = client.get("/doc").text.split('"')
    assets = [word for word in words if word.endswith((".js", ".css"))]
    assert len(assets) == 4
    for asset in assets:
        with client.get(asset) as answer:
            assert answer.status_code == 200, asset
    assert client.get("/doc/ui/pymacaron_doc.html").status_code == 404


def test_missing_assets() -> None:
    """Without the package that brings Swagger UI, the service does not start and says what to install."""
    with pytest.raises(ConfigError) as caught:
        docs_ui.find_ui_assets("no_such_package")
    assert str(caught.value) == (
        "no_such_package: Swagger UI, which draws the API reference, is not in it. Run pip install no-such-package."
    )


def test_peer_framework_is_not_loaded() -> None:
    """The assets are found without importing the package that they come in."""
    code = (
        "import sys, flask; from pymacaron import docs_ui; docs_ui.publish(flask.Flask('svc')); "
        "print([name for name in sys.modules if name.startswith('flask_openapi3')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.fixture
def base_url() -> Iterator[str]:
    server = make_server("127.0.0.1", 0, make_app(), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def render(tmp_path: Path) -> Callable[[str], tuple[str, set[str]]]:
    """Return a function: URL -> (DOM after all scripts ran, URLs that the page requested)."""
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("PYMACARON_REQUIRE_SERVICES") == "1":
            pytest.fail("chromium is not installed, and PYMACARON_REQUIRE_SERVICES=1 demands it")
        pytest.skip("chromium is not installed")

    def render_page(url: str) -> tuple[str, set[str]]:
        log = tmp_path / "net.json"
        folder = f"--user-data-dir={tmp_path / 'browser'}"
        command = [chromium, *CHROMIUM_FLAGS, folder, f"--log-net-log={log}", "--dump-dom", url]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        requests = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
        # what the browser itself asks for has no origin
        return done.stdout, {
            event["url"] for event in requests if "url" in event and str(event.get("initiator")).startswith("http")
        }

    return render_page


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/doc", 'id="operations-Pets-getPet"', id="list of operations"),
        pytest.param("/doc/pets#/Pets/getPet", "Rex", id="schema of OpenAPI 3.1"),
        pytest.param("/doc/ping", 'id="operations-Ping-do_ping"', id="other document"),
    ],
)
def test_page_in_a_browser(
    base_url: str, render: Callable[[str], tuple[str, set[str]]], path: str, expected: str
) -> None:
    """A browser without network shows the operations, and the page asks no other host for anything."""
    dom, requested = render(f"{base_url}{path}")
    assert expected in dom
    assert len(requested) >= 5
    assert all(url.startswith(f"{base_url}/") for url in requested), requested
