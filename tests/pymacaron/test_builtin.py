from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from pymacaron.app import API
from pymacaron.auth import generate_token
from pymacaron.builtin import BUILTIN_FOLDER
from pymacaron.builtin.crash import MyNonFatalCustomError
from pymacaron.builtin.ping import find_version
from pymacaron.codegen import generate_models
from pymacaron.config import PymConfig
from pymacaron.json_types import JsonObject
from pymacaron.spec import load_spec
from pymacaron_monitoring import flush_reports

MakeService = Callable[..., Flask]
Report = tuple[str, JsonObject, BaseException | None]


def test_ping(make_service: MakeService) -> None:
    """/ping answers an empty object."""
    answer = make_service().test_client().get("/ping")
    assert (answer.status_code, answer.json) == (200, {})


def test_ping_hooks(make_service: MakeService) -> None:
    """Each hook is called on each /ping, in order."""
    calls: list[str] = []
    client = make_service(ping_hook=[lambda: calls.append("a"), lambda: calls.append("b")]).test_client()
    client.get("/ping")
    client.get("/ping")
    assert calls == ["a", "b", "a", "b"]


def test_ping_hook_that_fails(make_service: MakeService) -> None:
    """What a hook raises becomes the answer, so that a sick service is seen."""

    def hook() -> None:
        raise MyNonFatalCustomError("the database sleeps")

    answer = make_service(ping_hook=hook).test_client().get("/ping")
    assert answer.status_code == 401
    assert answer.json == {
        "status": 401,
        "error": "NON_FATAL_CUSTOM_ERROR",
        "error_description": "the database sleeps",
    }


def test_version(make_service: MakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    """/version tells name, version, documents and environment."""
    monkeypatch.setenv("PYM_VERSION", "1.4.2")
    monkeypatch.delenv("PYM_ENV", raising=False)
    answer = make_service().test_client().get("/version")
    assert answer.status_code == 200
    assert answer.json == {"name": "pets", "version": "1.4.2", "apis": ["pets", "ping"], "pym_env": ""}


def test_auth_version(make_service: MakeService) -> None:
    """/auth/version is /version for callers with a token."""
    app = make_service()
    client = app.test_client()
    refused = client.get("/auth/version")
    assert refused.status_code == 401
    assert refused.json is not None
    assert refused.json["error"] == "AUTHORIZATION_HEADER_MISSING"
    token = generate_token("ada")
    answer = client.get("/auth/version", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert answer.json == client.get("/version").json


def test_service_without_jwt(make_service: MakeService) -> None:
    """A service that has no key for tokens starts, and /auth/version refuses every token."""
    client = make_service(config="name: pets\n").test_client()
    assert client.get("/ping").status_code == 200
    assert client.get("/auth/version", headers={"Authorization": "Bearer x.y.z"}).status_code == 401


@pytest.mark.parametrize(
    ("config", "environment", "text", "version"),
    [
        pytest.param({"version": "3"}, {"PYM_VERSION": "2"}, "1", "3", id="configuration first"),
        pytest.param({}, {"PYM_VERSION": "2"}, "1", "2", id="environment second"),
        pytest.param({}, {}, "1\n", "1", id="file third"),
        pytest.param({}, {}, None, "dev", id="nothing says it"),
    ],
)
def test_find_version(
    tmp_path: Path, config: JsonObject, environment: dict[str, str], text: str | None, version: str
) -> None:
    """The version comes from where it is said first."""
    file = tmp_path / "VERSION"
    if text is not None:
        file.write_text(text)
    assert find_version(PymConfig.model_validate(config), environment, file) == version


@pytest.mark.parametrize(
    ("path", "status", "error", "is_reported"),
    [
        pytest.param("internalexception", 500, "SERVER_ERROR", True, id="exception"),
        pytest.param("pymacaronexception", 401, "NON_FATAL_CUSTOM_ERROR", False, id="error below 500"),
        pytest.param("reporterror", 200, None, True, id="report"),
        pytest.param("slowcall", 200, None, False, id="slow"),
        pytest.param("returnerrorinstance", 543, "FATAL_CUSTOM_ERROR", True, id="error returned"),
        pytest.param("returnfatalerrorresponse", 543, "FATAL_CUSTOM_ERROR", True, id="fatal response"),
        pytest.param("returnnonfatalerrorresponse", 401, "NON_FATAL_CUSTOM_ERROR", False, id="error response"),
        pytest.param("returnerrormodel", 543, "ANOTHER_CUSTOM_ERROR", True, id="error model"),
    ],
)
def test_crash(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    status: int,
    error: str | None,
    is_reported: bool,
) -> None:
    """Each way to fail has its answer, and is reported if the server is at fault."""
    monkeypatch.setattr("pymacaron.builtin.crash.SLOW_CALL_S", 0.01)
    reports: list[Report] = []
    app = Flask("svc", root_path=str(tmp_path))
    api = API(app, error_reporter=lambda title, data, exception: reports.append((title, data, exception)))
    api.load_builtin_apis(("ping", "crash"))
    answer = api.start().test_client().get(f"/crash/{path}")
    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json.get("error") == error
    assert "Raising an internal exception" not in answer.text
    assert flush_reports(app)
    assert bool(reports) == is_reported


@pytest.mark.parametrize("name", ["ping", "crash"])
def test_generated_models_are_fresh(name: str) -> None:
    """The models that are committed are those of the documents."""
    models = (BUILTIN_FOLDER / f"{name}_models.py").read_text()
    assert models == generate_models(load_spec(BUILTIN_FOLDER / f"{name}.yaml")), (
        f"Run pymacaron generate on {name}.yaml"
    )
