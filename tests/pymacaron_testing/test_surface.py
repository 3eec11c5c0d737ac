"""What a run does with its options: users, profiles, time, signals, terminals, workers."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jwt
import pytest

from pymacaron.config import set_config
from pymacaron.exceptions import StartupError
from pymacaron_testing.run import start_run
from pymacaron_testing.suite import build_suite

pytest_plugins = ["pytester"]

SERVICES = Path(__file__).parent / "services"
AUTH = "--pymacaron-auth=Authorization: Bearer good-token"
SECRET = "0123456789abcdef0123456789abcdef"
Serve = Callable[[Any], str]
_SOME = "responses and (POST or search or DELETE)"


@pytest.fixture(autouse=True)
def _own_process_state(_loaded_engine: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave no configuration behind."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    yield
    set_config(None)


def read_report(pytester: pytest.Pytester) -> Any:
    return json.loads((pytester.path / "pymacaron-report.json").read_text())


# --- users -----------------------------------------------------------------------------------------------------------


def find_users(pytester: pytest.Pytester, *options: str) -> list[dict[str, str]]:
    """Return the headers that each user of a run sends to an operation with security."""
    config = pytester.parseconfig("--pymacaron-target=http://127.0.0.1:9", "-p", "no:cacheprovider", *options)
    run = start_run(config)
    suite = build_suite(run, run.load_document(SERVICES / "pets.yaml"))
    (operation,) = (one for one in suite.api.operations if one.operation_id == "create_pet")
    for index in range(len(suite.wire.users)):
        headers = suite.wire.headers_for(operation, index)
        assert not any(value.rpartition(" ")[2] in suite.wire.redaction.clean(value) for value in headers.values())
    return [suite.wire.headers_for(operation, index) for index in range(len(suite.wire.users))]


def test_two_users(pytester: pytest.Pytester) -> None:
    """Each line for the same header is a user; all of them are kept out of texts."""
    users = find_users(
        pytester, "--pymacaron-auth=Authorization: Bearer aaaa", "--pymacaron-auth=Authorization: Bearer bbbb"
    )
    assert users == [{"Authorization": "Bearer aaaa"}, {"Authorization": "Bearer bbbb"}]


def test_signed_users(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named secret signs both users, or a second one like the first."""
    monkeypatch.setenv("THE_SECRET", SECRET)
    token = jwt.encode({"sub": "ada", "iss": "me", "exp": time.time() + 60}, SECRET)
    for options, expected in (([], ["pymacaron-test", "pymacaron-test-2"]), ([token], ["ada", "pymacaron-test-2"])):
        given = [f"--pymacaron-auth=Authorization: Bearer {text}" for text in options]
        users = find_users(pytester, "--pymacaron-jwt-secret-env=THE_SECRET", *given)
        tokens = [user["Authorization"].removeprefix("Bearer ") for user in users]
        claims = [jwt.decode(one, SECRET, algorithms=["HS256"], options={"verify_exp": True}) for one in tokens]
        assert [one["sub"] for one in claims] == expected
    assert claims[1]["iss"] == "me"


def test_wrong_secret(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that did not sign the given token is told."""
    monkeypatch.setenv("THE_SECRET", "another")
    token = jwt.encode({"sub": "ada"}, SECRET)
    with pytest.raises(StartupError) as caught:
        find_users(pytester, "--pymacaron-jwt-secret-env=THE_SECRET", f"--pymacaron-auth=Authorization: Bearer {token}")
    assert str(caught.value) == (
        "--pymacaron-jwt-secret-env: the secret in that variable did not sign the token of --pymacaron-auth. "
        "Name the variable with the right secret."
    )


@pytest.mark.parametrize(("parameter", "expected"), [("user", ["u0", "u1"]), ("config", ["u"])])
def test_conftest_users(pytester: pytest.Pytester, parameter: str, expected: list[str]) -> None:
    """A hook that takes a user is asked for two; one that does not may only know one."""
    number = "{user}" if parameter == "user" else ""
    pytester.makeconftest(f"def pytest_pymacaron_auth({parameter}):\n    return f'Authorization: u{number}'\n")
    assert [user["Authorization"] for user in find_users(pytester)] == expected


# --- profiles and time -----------------------------------------------------------------------------------------------


class Recorder:
    """Notes the method of each request before an app answers it, after some time."""

    def __init__(self, app: Any, delay_s: float = 0.0) -> None:
        """Stand before *app*."""
        self.app = app
        self.delay_s = delay_s
        self.methods: list[str] = []

    def __call__(self, environ: Any, start: Any) -> Any:
        """Answer as WSGI says."""
        self.methods.append(environ["REQUEST_METHOD"])
        time.sleep(self.delay_s)
        return self.app(environ, start)


def test_live(pytester: pytest.Pytester, serve: Serve, pets_module: ModuleType) -> None:
    """In the profile live nothing is sent that may change data, and what needs it is said to be left out."""
    recorder = Recorder(pets_module.Pets("").build_app())
    options = (f"--pymacaron-target={serve(recorder)}", AUTH, "--pymacaron-profile=live", "-p", "no:cacheprovider")
    result = pytester.runpytest_inprocess(*options)
    assert result.ret == 0
    assert set(recorder.methods) <= {"GET", "HEAD", "OPTIONS"}
    items = read_report(pytester)["items"]
    writing = [item for item in items if re.search("::(POST|PUT|DELETE) ", item["nodeid"])]
    assert {(item["outcome"], item["reason"]) for item in writing} == {("skipped", "the profile live changes nothing")}
    assert sum(item["outcome"] == "passed" for item in items) >= 6
    (reason,) = {item["reason"] for item in items if "it never succeeded" in item["reason"]}
    assert reason.endswith("nothing that its path names is known, and the profile live changes nothing")


def test_max_time(pytester: pytest.Pytester, serve: Serve, pets_module: ModuleType) -> None:
    """A slow service is tested for the time that there is: each operation a little, and the rest is told."""
    recorder = Recorder(pets_module.Pets("").build_app(), delay_s=0.1)
    started = time.monotonic()
    options = (f"--pymacaron-target={serve(recorder)}", AUTH, "--pymacaron-max-time=12", "-k", _SOME)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)
    assert time.monotonic() - started < 20
    assert result.ret == 0
    items = read_report(pytester)["items"]
    judged = {item["operation_id"] for item in items if item["outcome"] == "passed"}
    assert judged == {"create_pet", "create_toy", "search_pets", "delete_pet"}
    assert any("time ran out" in gap for item in items for gap in item["gaps"])


# --- terminals, signals, workers -------------------------------------------------------------------------------------


def run_on_terminal(folder: Path, *options: str) -> str:
    """Run pytest with a terminal as its output. Returns what it writes."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    with subprocess.Popen(command, cwd=folder, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # so Linux says that the other side is closed
                break
            if not part:
                break
            parts.append(part)
    os.close(ours)
    assert process.returncode in {0, 1}
    return b"".join(parts).decode()


def test_progress(pytester: pytest.Pytester, pets: Callable[..., str]) -> None:
    """A terminal shows one line that changes, and takes it away at the end."""
    options = (f"--pymacaron-target={pets()}", AUTH, "--pymacaron-max-examples=0", "-k", "search")
    text = run_on_terminal(pytester.path, *options)
    assert re.search(r"\r\x1b\[2K\d/\d items · [\d,]+ requests · 0 failed · 0:\d\d · GET /search\[requests\]", text)
    assert re.search(r"\r\x1b\[2K\r?\n", text)
    assert " passed" in text


def test_no_terminal(pytester: pytest.Pytester, pets: Callable[..., str]) -> None:
    """Without a terminal, and without pytest's own reporter, the run is the same."""
    options = (f"--pymacaron-target={pets()}", AUTH, "--pymacaron-max-examples=0", "-k", "search and responses")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)
    assert result.ret == 0
    assert "items ·" not in result.stdout.str()
    assert pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:terminal", *options).ret == 0
    assert read_report(pytester)["summary"]["passed"] == 1


def test_sigterm(pytester: pytest.Pytester, serve: Serve, pets_module: ModuleType) -> None:
    """SIGTERM ends the run with exit code 2 and a report."""
    recorder = Recorder(pets_module.Pets("").build_app(), delay_s=0.2)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--pymacaron-target={serve(recorder)}", AUTH]
    with subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while "POST" not in recorder.methods and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    assert process.returncode == 2
    report = read_report(pytester)
    assert report["exit_code"] == 2
    assert report["summary"]["not_run"] > 10


def test_worker_gives_up(pytester: pytest.Pytester, serve: Serve) -> None:
    """What a worker cannot test is told once by its controller, with exit code 2."""
    pytester.path.joinpath("doc.yaml").write_text("openapi: 3.1.0\npaths: 3\n")
    url = serve(lambda _environ, start: (start("200 OK", []), [b""])[1])
    options = (f"--pymacaron-target={url}", "--pymacaron-spec=doc.yaml", "-n1", "-p", "no:cacheprovider")
    result = pytester.runpytest_subprocess(*options)
    assert result.ret == 2
    told = [line for line in result.outlines if "CouldNotTest" in line]
    assert len(told) == 1
    assert "doc.yaml" in told[0]
