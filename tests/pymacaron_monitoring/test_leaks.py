"""No secret of a service or of its callers reaches Sentry, its log, or its own reporter, however it is told."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from fake_sentry import FakeSentry
from flask import Flask
from werkzeug.test import Client

from pymacaron.config import set_config
from pymacaron.events import ErrorReported
from pymacaron.service import service_of
from pymacaron_monitoring import flush_reports

VAULT = Path(__file__).parents[1] / "services" / "vault"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJLLWp3dC0xIn0.c2lnbmF0dXJlLUstand0LTI"
ENVIRONMENT = {
    "VAULT_JWT_SECRET": "K-env-1-0123456789abcdef0123456789",
    "VAULT_DATABASE_URL": "postgresql://vault:K-env-2@db.test/vault",
    "VAULT_REPLICA_KEY": "K-env-3",
    "VAULT_MAIL_PASSWORD": "K-env-4 with space/and+more",
}
# What the requests carry. Each planted secret begins with K-, or is a number that stands nowhere else.
BODY = {
    "name": "Ada",
    "token_count": 3,
    "password": "K-body-1\"quoted'",
    "pin_code": 48151623,
    "hint": "K-body-2",
    "keys": {"first": "K-body-3", "second": "K-body-4"},
    "codes": ["K-body-5", "K-body-6"],
    "pair": ["left", "K-body-7"],
    "owner": {"email": "ada@x.test", "answer": "K-body-8", "heirs": [{"email": "b@x.test", "answer": "K-body-9"}]},
    "method": {"number": "K-body-10", "expires": "12/30", "cvv": "K-body-11"},
    "custody": {"place": "K-body-12", "words": ["K-body-13", "K-body-14"]},
    "labels": {"hidden_one": "K-body-15", "colour": "red"},
    "clientSecret": "K-body-16",
    "accessToken": "K-body-17",
    "private_key": "-----BEGIN K-body-18-----\nK-body-19\n-----END-----",
    "deep": [{"er": {"still": {"recovery_code": "K-body-20", "passwords": ["K-body-21"]}}}],
}
QUERY = {
    "k": "K-query-1",
    "region": "north",
    "unlock": "K-query-2 ü&",
    "filter[password]": "K-query-3",
    "filter[colour]": "red",
    "access_token": "K-query-4",
}
HEADERS = {
    "Authorization": f"Bearer {JWT}",
    "Proxy-Authorization": "Basic K-head-1aaaaaaaaa",
    "X-Pass": "K-head-2",
    "X-Session-Token": "K-head-3",
    "X-Api-Key": "K-head-4",
    "X-Csrf-Token": "K-head-5",
    "X-Tenant": "acme",
    "X-Request-Id": "r-1",
    "Cookie": "lang=en; session=K-cookie-1; csrf=K-cookie-2; remember_me=K-cookie-3",
}
BASIC = base64.b64encode(b"ada:K-basic-1").decode()
PLANTED = {
    *("K-env-1", "K-env-2", "K-env-3", "K-env-4", "K-jwt", JWT.split(".")[1], JWT.split(".")[2], "48151623"),
    *(f"K-body-{number}" for number in range(1, 22)),
    *(f"K-query-{number}" for number in range(1, 5)),
    *(f"K-head-{number}" for number in range(1, 7)),
    *(f"K-cookie-{number}" for number in range(1, 5)),
    *(f"K-url-{number}" for number in range(1, 4)),
    *("K-data-1", "K-basic-1", BASIC, "K-path-1", "K-path-2", "K-form-1", "K-form-2", "K-text-1"),
}
SHOWN = ("Ada", "north", "acme", "red", "ada@x.test", "left", "12/30", "request.url", "cannot open")


@pytest.fixture
def sentry() -> Iterator[FakeSentry]:
    """Start a Sentry."""
    sentry = FakeSentry()
    yield sentry
    sentry.stop()


@pytest.fixture
def vault(tmp_path: Path, sentry: FakeSentry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """Start the service that tells all it knows, with a reporter of its own besides Sentry."""
    folder = tmp_path / "vault"
    shutil.copytree(VAULT, folder, ignore=shutil.ignore_patterns("__pycache__", "*_models.py"))
    for name, value in (ENVIRONMENT | {"VAULT_SENTRY_DSN": sentry.dsn}).items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("vault_server", folder / "server.py")
    assert spec is not None
    assert spec.loader is not None
    monkeypatch.setitem(sys.modules, "vault_server", module := importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    yield module.app
    set_config(None)


def send_all(client: Client) -> None:
    """Send every planted secret, to each operation those that it knows."""
    client.post("/accounts", query_string=urlencode(QUERY), json=BODY, headers=HEADERS)
    gate = {"X-Gate": "K-head-6", "Authorization": f"Bearer {JWT}"}
    client.post(f"/resets/{quote('K-path-1/K-path-2 ü', safe='')}", headers=gate)
    login = {"Authorization": f"Basic {BASIC}"}
    client.post("/logins", data={"user": "ada", "phrase": "K-form-1"}, headers=login)
    file = (io.BytesIO(b"K-file"), "photo.png")
    client.post("/logins", data={"user": "ada", "phrase": "K-form-2", "photo": file}, headers=login)
    client.post(
        "/notes", data="K-text-1 is a secret", headers={"Cookie": "pass_card=K-cookie-4"}, content_type="text/plain"
    )


def test_no_byte_of_a_secret_is_told(
    vault: Flask, sentry: FakeSentry, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Each of more than fifty planted secrets is in a request, in exceptions, or both; everything else is told."""
    heard: list[ErrorReported] = []
    service_of(vault).bus.subscribe(ErrorReported, heard.append)
    send_all(vault.test_client(use_cookies=False))
    assert flush_reports(vault)
    assert [event.title for event in heard] == [
        "Account with **********",
        "SERVER_ERROR: RuntimeError in open_account",
        "Mail service",
        "SERVER_ERROR: ValueError in reset",
        "SERVER_ERROR: LookupError in log_in",
        "SERVER_ERROR: LookupError in log_in",
        "SERVER_ERROR: OSError in note",
    ]
    assert sentry.refusals == []
    assert len(sentry.events) == 6  # the second failure of log_in is one of the first one's kind
    received = b"\n".join(sentry.raw).decode()
    told = {"Sentry": received, "events": json.dumps([event.data for event in heard]), "log": caplog.text}
    told["standard error"] = capsys.readouterr().err
    assert len(PLANTED) >= 50
    for place, text in told.items():
        assert {secret for secret in PLANTED if secret in text} == set(), place
        assert {secret for secret in PLANTED if base64.b64encode(secret.encode()).decode()[:-4] in text} == set(), place
    for shown in SHOWN:
        assert shown in received


@pytest.mark.parametrize(
    ("causes", "kinds"),
    [
        pytest.param(0, ["ExceptionGroup", "ExceptionGroup", "ValueError", "ValueError"], id="members of groups"),
        pytest.param(8, ["ValueError"] * 10, id="a long chain of causes"),
    ],
)
def test_all_that_a_trace_shows_is_searched_for_secrets(
    vault: Flask, sentry: FakeSentry, caplog: pytest.LogCaptureFixture, causes: int, kinds: list[str]
) -> None:
    """A variable of an exception deep inside gives away what the texts of all of them must not say."""
    assert vault.test_client().get(f"/transfers?causes={causes}").status_code == 500
    assert flush_reports(vault)
    (event,) = sentry.events
    assert sorted(value["type"] for value in event["exception"]["values"]) == kinds
    for text in (b"\n".join(sentry.raw).decode(), caplog.text):
        assert "bank refuses **********" in text
        assert not [secret for secret in ("K-group-1", "K-group-2", "K-chain-1") if f"refuses {secret}" in text]


def test_an_event_says_where_and_for_whom(vault: Flask, sentry: FakeSentry) -> None:
    """It has the error id, operation, request, user, release, environment and trace, and the stack of each cause."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    headers = HEADERS | {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    answer = vault.test_client(use_cookies=False).post("/accounts", query_string=QUERY, json=BODY, headers=headers)
    warning, error = sentry.wait_for(2)
    assert answer.json is not None
    assert error["event_id"] == answer.json["error_id"]
    assert (error["level"], warning["level"]) == ("error", "warning")
    assert (error["release"], error["environment"]) == ("vault@1.4.2", "production")
    assert error["transaction"] == "open_account"
    assert error["user"] == {"id": "somebody"}
    assert error["tags"] == {
        "operation_id": "open_account",
        "method": "POST",
        "route": "/accounts",
        "status": "500",
        "error": "SERVER_ERROR",
        "request_id": "r-1",
        "trace_id": trace_id,
    }
    assert error["contexts"]["trace"] == {"trace_id": trace_id, "span_id": "b7ad6b7169203331"}
    kinds = [value["type"] for value in error["exception"]["values"]]
    assert kinds == ["KeyError", "RuntimeError"]
    frame = error["exception"]["values"][-1]["stacktrace"]["frames"][-1]
    assert (frame["function"], frame["in_app"], "vars" in frame) == ("open_account", True, False)
    assert "cannot open" in frame["context_line"]
    assert error["request"]["query_string"]["region"] == "north"
    assert error["request"]["data"]["owner"] == {
        "email": "ada@x.test",
        "answer": "**********",
        "heirs": [{"email": "b@x.test", "answer": "**********"}],
    }
    assert warning["message"] == "Account with **********"
    assert "report_warning" in warning["extra"]["trace"]


def test_one_of_a_kind_is_told_in_an_interval(vault: Flask, sentry: FakeSentry) -> None:
    """Of many failures at one line Sentry hears once, of others too; the counts say how many were held back."""
    client = vault.test_client()
    for _ in range(20):
        assert client.get("/orders?page=3").status_code == 500
        assert client.get("/orders?page=2").status_code == 200
    assert flush_reports(vault)
    assert sorted(event.get("message", "ZeroDivisionError") for event in sentry.events) == [
        "Page two",
        "ZeroDivisionError",
    ]
    page = client.get("/metrics").text
    assert 'errors_reported_total{outcome="sent",reporter="log"} 40.0' in page
    assert 'errors_reported_total{outcome="sent",reporter="sentry"} 2.0' in page
    assert 'errors_reported_total{outcome="limited",reporter="sentry"} 38.0' in page


@pytest.mark.parametrize("allow", [pytest.param([], id="nothing"), pytest.param(["name"], id="name")])
def test_bodies_are_told_by_permission(vault: Flask, sentry: FakeSentry, allow: list[str]) -> None:
    """By default the structure of a body is told and no value of it, of parameters those that are declared."""
    service_of(vault).config.error_report_allow = allow
    query: dict[str, Any] = QUERY | {"undeclared": "value"}
    vault.test_client(use_cookies=False).post("/accounts", query_string=query, json=BODY, headers=HEADERS)
    _, error = sentry.wait_for(2)
    body = error["request"]["data"]
    assert body["name"] == ("Ada" if allow else "**********")
    assert body["owner"]["email"] == "**********"
    assert body.keys() == BODY.keys()
    assert error["request"]["query_string"] == {
        "k": "**********",
        "region": "north",
        "unlock": "**********",
        "filter[password]": "**********",
        "filter[colour]": "red",
        "access_token": "**********",
        "undeclared": "**********",
    }
    assert error["request"]["headers"]["X-Tenant"] == "acme"
