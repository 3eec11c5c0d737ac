"""A service written for pymacaron 2 starts unchanged, in every way that was documented, and answers as it did."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

SERVICE = Path(__file__).parent / "services" / "classic"
BIN = Path(sys.executable).parent
SECRET = "0123456789abcdef0123456789abcdef"
START_TIMEOUT_S = 30
COMMANDS: dict[str, list[str | Path]] = {
    "python server.py": [sys.executable, "server.py", "--port", "{port}"],
    "pymacaron run": [BIN / "pymacaron", "run", "--port", "{port}", "--workers", "1"],  # its data is in memory
    "gunicorn": [BIN / "gunicorn", "server:app", "--bind", "127.0.0.1:{port}"],
    "python server.py --env live": [sys.executable, "server.py", "--port", "{port}", "--env", "live"],
}
MODELS_OF_2 = """\
# This is an auto-generated file - DO NOT EDIT!!!
from pymacaron.model import PymacaronBaseModel
from pydantic import BaseModel
from typing import List, Optional, Literal

class Hello(PymacaronBaseModel, BaseModel):
    message: Optional[str] = None
"""
NO_HEADER = {
    "status": 401,
    "error": "AUTHORIZATION_HEADER_MISSING",
    "error_description": "There is no Authorization header in the HTTP request",
}


@dataclass(frozen=True, slots=True)
class Running:
    """A started service: its address, and the file to which its error_reporter and ping_hook write."""

    url: str
    report_file: Path

    def get(self, path: str, token: str | None = None) -> requests.Response:
        """Send GET, with a token if one is given."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.get(f"{self.url}{path}", headers=headers, timeout=10)

    def post(self, path: str, body: object, token: str | None = None) -> requests.Response:
        """Send *body* as JSON, with a token if one is given."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.post(f"{self.url}{path}", json=body, headers=headers, timeout=10)

    def log_in(self, user: str) -> str:
        """Return a token that the service made for *user*."""
        token: str = self.post("/login", {"user": user, "password": "sesame"}).json()["token"]
        return token

    def reports(self) -> list[dict[str, Any]]:
        """Return what error_reporter and ping_hook wrote, oldest first."""
        return [json.loads(line) for line in self.report_file.read_text().splitlines()]

    def await_report(self, title: str) -> dict[str, Any]:
        """Return the last one that is called so; it comes soon after the answer."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            found = [report for report in self.reports() if report["title"] == title]
            if found:
                return found[-1]
            time.sleep(0.01)
        pytest.fail(f"no report is called {title}: {self.reports()}")


def start(name: str, folder: Path) -> Iterator[Running]:
    """Copy the service to *folder* and start it by the command called *name*; stop it in the end."""
    shutil.copytree(SERVICE, folder, ignore=shutil.ignore_patterns("__pycache__", "*_models.py"))
    (folder / "apis" / "hello_models.py").write_text(MODELS_OF_2)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    report_file = folder / "reports.jsonl"
    report_file.touch()
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYM_", "PROMETHEUS_", "PORT"))
    }
    environment |= {"HELLO_JWT_SECRET": SECRET, "HELLO_REPORT_PATH": str(report_file)}
    command = [str(word).format(port=port) for word in COMMANDS[name]]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    running = Running(f"http://127.0.0.1:{port}", report_file)
    try:
        wait_for(running, process, folder / "log")
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def wait_for(running: Running, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            running.get("/ping")
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"The service does not answer:\n{log.read_text()}")


@pytest.fixture(scope="module", params=["python server.py", "pymacaron run", "gunicorn"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Start the service in each of the three ways."""
    yield from start(request.param, tmp_path_factory.mktemp("classic") / "service")


def test_ping(service: Running) -> None:
    """/ping answers {}, and calls the hook."""
    before = len(service.reports())
    response = service.get("/ping")
    assert response.status_code == 200
    assert response.json() == {}
    assert service.reports()[before:] == [{"title": "ping"}]


def test_version(service: Running) -> None:
    """/version says what runs, without basePath."""
    answer = service.get("/version").json()
    assert answer.pop("version")
    assert answer == {"name": "hello", "apis": ["hello", "ping"], "pym_env": ""}
    assert service.get("/v1/version").status_code == 404


def test_auth_version(service: Running) -> None:
    """/auth/version needs a token, in the header or in the cookie."""
    refused = service.get("/auth/version")
    assert refused.status_code == 401
    assert refused.json() == NO_HEADER
    token = service.log_in("anna")
    answer = service.get("/version").json()
    assert service.get("/auth/version", token).json() == answer
    cookies = {"token": f"Bearer%20{token}"}
    assert requests.get(f"{service.url}/auth/version", cookies=cookies, timeout=10).json() == answer


def test_tokens(service: Running) -> None:
    """A token carries the claims of pymacaron 2, and x-decorate-server gives the handler its user."""
    token = service.log_in("anna")
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="helloworldaudienceisgreat")
    assert claims["exp"] == claims["iat"] + 86400
    assert (claims["sub"], claims["iss"], claims["word"]) == ("anna", "hello.example.com", "sesame")
    assert service.get("/hello/with/auth", token).json() == {"message": "Hello anna!"}
    assert service.get("/hello/with/auth").json() == NO_HEADER


@pytest.mark.parametrize(
    ("changes", "error", "description"),
    [
        pytest.param({"exp": 1}, "TOKEN_EXPIRED", "JWT token has expired", id="expired"),
        pytest.param({"aud": "other"}, "TOKEN_INVALID", "JWT has incorrect audience", id="audience"),
        pytest.param({"iss": "other"}, "TOKEN_INVALID", "JWT has incorrect issuer", id="issuer"),
        pytest.param({}, "TOKEN_INVALID", "JWT token signature is invalid", id="signature"),
    ],
)
def test_refused_tokens(service: Running, changes: dict[str, Any], error: str, description: str) -> None:
    """A wrong token is refused with the codes of pymacaron 2."""
    good = {"iss": "hello.example.com", "aud": "helloworldaudienceisgreat", "sub": "anna", "exp": 4_000_000_000}
    token = jwt.encode({**good, **changes}, SECRET if changes else SECRET[::-1], algorithm="HS256")
    refused = service.get("/hello/with/auth", token)
    assert refused.status_code == 401
    assert refused.json() == {"status": 401, "error": error, "error_description": description}


def test_query_parameters(service: Running) -> None:
    """Defaults of the document hold, x-mandatory demands, types are checked."""
    assert service.get("/hello?name=Bo").json() == {"message": "Hello Bo!"}
    assert service.get("/hello?name=Bo&times=2").json() == {"message": "Hello Bo! Hello Bo!"}
    for wrong in ("/hello", "/hello?name=Bo&times=often"):
        refused = service.get(wrong)
        assert refused.status_code == 400
        assert refused.json()["error"] == "INVALID_PARAMETER"


def test_inheritance(service: Running) -> None:
    """x-parent gives the model methods of the service's own class."""
    answer = service.post("/hello/with/inheritance", {"question": "hello?"}, service.log_in("anna"))
    assert answer.json() == {"message": "You said: hello?"}


def test_models(service: Running) -> None:
    """Absent properties stay absent, x-nullable ones are null, datetimes are ISO 8601."""
    answer = service.post("/people", {"name": "Anna", "address": {"street": "Main"}})
    assert answer.status_code == 200
    person = answer.json()
    assert person == {
        "person_id": person["person_id"],
        "name": "Anna",
        "nickname": None,
        "address": {"street": "Main", "city": None},
        "created": "2020-02-29T12:30:00Z",
    }
    assert service.get(f"/people/{person['person_id']}").json() == person
    assert person in service.get("/people").json()["people"]
    assert service.get("/people?role=owner").json() == {"people": []}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"name": "Bo", "colour": "red"}, id="extra"),
        pytest.param({"name": "Bo", "address": {"zip": 1}}, id="extra-inside"),
        pytest.param({"nickname": "B"}, id="mandatory"),
        pytest.param({"name": "Bo", "role": "king"}, id="enum"),
        pytest.param({"name": "Bo", "tags": "a"}, id="type"),
        pytest.param({"name": "Bo", "created": "soon"}, id="format"),
        pytest.param([], id="no-object"),
    ],
)
def test_refused_bodies(service: Running, body: object) -> None:
    """A body that the document does not allow is refused."""
    refused = service.post("/people", body)
    assert refused.status_code == 400
    assert refused.json()["error"] == "INVALID_PARAMETER"


def test_no_body(service: Running) -> None:
    """Without a body the handler gets an empty model, unless something is mandatory."""
    refused = requests.post(f"{service.url}/people", timeout=10)
    assert refused.status_code == 400
    assert refused.json()["error_description"] == "body /name: Field required"


def test_own_errors(service: Running) -> None:
    """Errors of the service's own, by class or by add_error, have their status and code, and are not reported."""
    before = len(service.reports())
    coffee, nobody = service.get("/coffee"), service.get("/people/999")
    assert coffee.status_code == 418
    assert coffee.json() == {"status": 418, "error": "OUT_OF_COFFEE", "error_description": "No coffee left"}
    assert nobody.json() == {"status": 404, "error": "NO_SUCH_PERSON", "error_description": "There is no person 999"}
    assert service.reports()[before:] == []


def test_unexpected_errors(service: Running) -> None:
    """A failure says nothing of its inside but an error id, under which error_reporter finds all of it."""
    failed = service.get("/die")
    assert failed.status_code == 500
    body = failed.json()
    assert body["error"] == "SERVER_ERROR"
    assert "DIED" not in failed.text
    report = service.await_report("SERVER_ERROR: Exception in get_die")
    assert report["data"]["error_id"] == body["error_id"]
    assert report["data"]["is_fatal_error"]
    assert "OH! NO! I JUST DIED!!" in report["data"]["trace"]
    assert report["exception"] == "OH! NO! I JUST DIED!!"


def test_reported_warnings(service: Running) -> None:
    """report_warning reaches error_reporter, with its data but without secrets."""
    service.post("/login", {"user": "eve", "password": "letmein"})
    report = service.await_report("Somebody guesses")
    assert not report["data"]["is_fatal_error"]
    assert report["data"]["password"] == "**********"
    assert "letmein" not in json.dumps(report)


def test_published_apis(service: Running) -> None:
    """The document is served as it was written, and as a page."""
    assert service.get("/doc/hello.yaml").text == (SERVICE / "apis" / "hello.yaml").read_text()
    assert "<html" in service.get("/doc/hello").text


def test_error_callback_and_environment(tmp_path: Path) -> None:
    """--env chooses pym-config.live.yaml, whose errors have the format of error_callback."""
    for service in start("python server.py --env live", tmp_path / "service"):
        assert service.get("/version").json()["pym_env"] == "live"
        coffee = service.get("/coffee")
        assert coffee.status_code == 418
        assert coffee.json() == {"code": "OUT_OF_COFFEE", "text": "No coffee left"}
        assert service.get("/auth/version").json() == {
            "code": "AUTHORIZATION_HEADER_MISSING",
            "text": "There is no Authorization header in the HTTP request",
        }


def test_a_missing_secret(tmp_path: Path) -> None:
    """Without the variables of env_secrets the service does not start: one line each, no trace."""
    shutil.copytree(SERVICE, tmp_path / "service")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYM_", "HELLO_"))}
    done = subprocess.run(
        [sys.executable, "server.py", "--port", "0"],
        cwd=tmp_path / "service",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "pym-config.yaml:17: the environment variable HELLO_JWT_SECRET is not set. "
        "Set HELLO_JWT_SECRET, or remove it from env_secrets and from the values.\n"
        "pym-config.yaml:18: the environment variable HELLO_REPORT_PATH is not set. "
        "Set HELLO_REPORT_PATH, or remove it from env_secrets and from the values.\n"
    )
