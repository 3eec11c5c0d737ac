"""The plugin in pytest: silent where nobody asked, contract items and report where somebody did."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests

from pymacaron.config import set_config

pytest_plugins = ["pytester"]

SERVICES = Path(__file__).parent / "services"
AUTH = "--pymacaron-auth=Authorization: Bearer good-token"
# Groups of the first and third phase; in the second one all have responses, requests and latency.
PETS_GROUPS = {
    "POST /pets": "auth protocol state | stateful",
    "POST /pets/{pet_id}/toys": "auth access protocol state | stateful",
    "GET /pets": "protocol state semantics |",
    "GET /search": "protocol semantics |",
    "GET /pets/{pet_id}/toys": "auth protocol state | stateful",
    "GET /pets/{pet_id}": "protocol | stateful",
    "PUT /pets/{pet_id}": "auth access protocol state | stateful",
    "DELETE /pets/{pet_id}": "auth access protocol state | stateful",
}
PETS_ITEMS = [
    f"openapi.yaml::contract::{operation}[{group}]"
    for phase in range(3)
    for operation, groups in PETS_GROUPS.items()
    for group in groups.replace("|", "| responses requests latency |").split("|")[phase].split()
]

Pets = Callable[..., str]


@pytest.fixture(autouse=True)
def _own_process_state(_loaded_engine: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let runs in this process leave no configuration behind, and runs in others use compiled files."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYM_ENV", "test")
    yield
    set_config(None)


def read_report(pytester: pytest.Pytester) -> Any:
    return json.loads((pytester.path / "pymacaron-report.json").read_text())


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "--pymacaron-max-examples=4", *arguments)


def write_service(folder: Path) -> None:
    """Write a small pymacaron service."""
    (folder / "apis").mkdir()
    (folder / "apis" / "notes.yaml").write_text((SERVICES / "notes.yaml").read_text())
    (folder / "server.py").write_text((SERVICES / "notes_server.py").read_text())
    (folder / "pym-config.yaml").write_text(
        "name: notes\njwt_secret: 0123456789abcdef0123456789abcdef\njwt_issuer: notes\njwt_audience: notes\n"
    )


# --- silence ---------------------------------------------------------------------------------------------------------


def test_silent(pytester: pytest.Pytester) -> None:
    """A run that asked for nothing gets nothing: no items, no report, no engine."""
    write_service(pytester.path)
    pytester.makepyfile(
        """
        import sys

        def test_nothing_loaded():
            assert [name for name in sys.modules if name.startswith("pymacaron.")] == []
            assert "pymacaron_testing.generation" not in sys.modules
            assert "pymacaron_testing.run" not in sys.modules
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    assert "requests to" not in result.stdout.str()
    assert not (pytester.path / "pymacaron-report.json").exists()


# --- a named target --------------------------------------------------------------------------------------------------


def test_target(pytester: pytest.Pytester, pets: Pets) -> None:
    """A live URL is kept to the document that it publishes; the report says all that happened."""
    url = pets()
    result = run(pytester, f"--pymacaron-target={url}", AUTH, "-v")
    assert result.ret == 0
    result.assert_outcomes(passed=len(PETS_ITEMS) - 3, skipped=3)
    report = read_report(pytester)
    assert [item["nodeid"] for item in report["items"]] == PETS_ITEMS
    counts = {"passed": len(PETS_ITEMS) - 3, "failed": 0, "error": 0, "skipped": 3, "not_run": 0}
    assert report["summary"] == counts
    reasons = {item["reason"] for item in report["items"] if item["outcome"] == "skipped"}
    assert reasons == {"there is no second user: give --pymacaron-auth once for each of two"}
    first = report["items"][0]
    assert (first["kind"], first["operation_id"], first["outcome"], first["failures"]) == (
        "contract",
        "create_pet",
        "passed",
        [],
    )
    assert 0 < first["requests"] < report["requests_sent"]
    assert (report["version"], report["target"], report["exit_code"]) == (2, url, 0)
    assert report["documents"] == [
        {
            "name": "openapi",
            "source": f"{url}/openapi.yaml",
            "sha256": report["documents"][0]["sha256"],
            "title": "Pets",
            "version": "1.0.0",
            "text": (SERVICES / "pets.yaml").read_text(),
        }
    ]
    counted = [int(report["metrics"][key].split()[1]) for key in ("before", "after")]
    assert counted == [0, report["requests_sent"]]
    assert "good-token" not in json.dumps(report)
    assert sorted(path.name for path in pytester.path.iterdir()) == ["pymacaron-report.html", "pymacaron-report.json"]
    result.stdout.fnmatch_lines(
        [
            f"*collected {len(PETS_ITEMS)} items*",
            f"{report['requests_sent']} requests to {url}, report in pymacaron-report.json",
        ]
    )


def test_metrics_page_of_another_path(pytester: pytest.Pytester, pets: Pets) -> None:
    """The report has the page that was named, before the requests and after them."""
    run(pytester, f"--pymacaron-target={pets()}", AUTH, "--pymacaron-metrics-path=/counts", "-k", "search and protocol")
    report = read_report(pytester)
    assert report["metrics"] == {"before": "counted 0\n", "after": f"counted {report['requests_sent']}\n"}
    assert report["requests_sent"] > 0


def test_failures(pytester: pytest.Pytester, pets: Pets) -> None:
    """Broken promises are told on the terminal, in JUnit and in the report; other items pass."""
    options = ("-k", "GET and pet_id and not toys", "--junitxml=junit.xml", "--pymacaron-report=out/r.json")
    result = run(pytester, f"--pymacaron-target={pets('loses kind')}", AUTH, *options)
    assert result.ret == 1
    result.assert_outcomes(failed=1, passed=4, deselected=len(PETS_ITEMS) - 5)
    result.stdout.fnmatch_lines(
        [
            "schema (seen * times)",
            "  promised  the body of answer 200 of GET /pets/{pet_id} fits its schema Pet",
            '  answered  200 OK (application/json) {*}: at the top: "kind" is a required property',
            "  where     http://127.0.0.1:*/openapi.yaml:*#/paths/~1pets~1{pet_id}/get/responses/200/content/*",
            "  again     curl -i -X GET http://127.0.0.1:*/pets/*",
            "FAILED openapi.yaml::contract::GET /pets/{pet_id}[[]responses[]]*",
        ]
    )
    report = json.loads((pytester.path / "out" / "r.json").read_text())
    (failed,) = [item for item in report["items"] if item["outcome"] == "failed"]
    assert [failure["check"] for failure in failed["failures"]] == ["schema"]
    assert report["exit_code"] == 1
    cases = ET.parse(pytester.path / "junit.xml").iter("testcase")
    names = {case.get("name"): len(list(case)) for case in cases}
    assert names == {
        "GET /pets/{pet_id}[responses]": 1,
        "GET /pets/{pet_id}[requests]": 0,
        "GET /pets/{pet_id}[protocol]": 0,
        "GET /pets/{pet_id}[latency]": 0,
        "GET /pets/{pet_id}[stateful]": 0,
    }


def test_token_hint(pytester: pytest.Pytester, pets: Pets) -> None:
    """Where a curl line needs a token it says where to get one."""
    name = "openapi.yaml::contract::POST /pets[responses]"
    result = run(pytester, f"--pymacaron-target={pets('undeclared status')}", AUTH, "-k", "POST and not toys and resp")
    result.stdout.fnmatch_lines(["$TOKEN: It is the value of --pymacaron-auth."])
    assert [item["nodeid"] for item in read_report(pytester)["items"]] == [name]


def test_flaky_item(pytester: pytest.Pytester, pets: Pets) -> None:
    """What happened once and not again passes, with a reason in the report."""
    options = ("-k", "POST and not toys and responses")
    assert run(pytester, f"--pymacaron-target={pets('fails once')}", AUTH, *options).ret == 0
    (item,) = read_report(pytester)["items"]
    assert item["outcome"] == "passed"
    assert item["reason"].startswith("server_error did not happen again: 500")


def test_own_documents(pytester: pytest.Pytester, pets: Pets) -> None:
    """In a service's folder its own documents are taken, hand-written tests run too, and one item can be asked for."""
    pytester.mkdir("apis").joinpath("pets.yaml").write_text((SERVICES / "pets.yaml").read_text())
    (pytester.path / "apis" / "notes.txt").write_text("no document")
    (pytester.path / "apis" / "other.yaml").write_text("no: document")
    pytester.mkdir("testaccept").joinpath("test_pets.py").write_text(
        "import pytest\n"
        "def test_list(http, base_url, target):\n"
        "    assert http.get('/pets').request.url == f'{base_url}/pets' == f'{target.url}/pets' == f'{target}/pets'\n"
        "def test_signed(http, auth_headers):\n"
        "    assert http.post('pets', json={'name': 'a', 'kind': 'cat'}, headers=auth_headers).status_code == 201\n"
        "def test_broken(http):\n"
        "    assert http.get('/pets').status_code == 418, 'no teapot'\n"
        "def test_skipped():\n"
        "    pytest.skip('not today')\n"
        "@pytest.fixture\n"
        "def bad(): raise RuntimeError('planted')\n"
        "def test_error(bad): pass\n"
    )
    target = f"--pymacaron-target={pets()}"
    result = run(pytester, target, AUTH, "-k", "testaccept or (GET and not pet_id and not search)")
    result.assert_outcomes(passed=8, failed=1, skipped=1, errors=1, deselected=len(PETS_ITEMS) - 6)
    report = read_report(pytester)
    items = {item["nodeid"].rpartition("::")[2]: item for item in report["items"]}
    assert [(items[name]["outcome"], items[name]["requests"]) for name in ("test_list", "test_signed")] == [
        ("passed", 1),
        ("passed", 1),
    ]
    assert items["test_broken"]["kind"] == "blackbox"
    (failure,) = items["test_broken"]["failures"]
    assert failure.pop("seen_after_s") > 0
    assert failure == (
        {
            "operation_id": None,
            "check": "test",
            "promise": "test_broken passes",
            "answer": "AssertionError: no teapot",
            "place": "testaccept/test_pets.py:6",
            "curl": "",
            "count": 1,
            "before": [],
            "request_id": "",
            "traceback": "",
        }
    )
    assert (items["test_skipped"]["outcome"], items["test_skipped"]["reason"]) == ("skipped", "not today")
    assert items["test_error"]["outcome"] == "error"
    assert report["documents"][0]["source"] == "apis/pets.yaml"
    counted = [int(report["metrics"][key].split()[1]) for key in ("before", "after")]
    assert counted[1] - counted[0] == report["requests_sent"]

    one = "apis/pets.yaml::contract::GET /pets[protocol]"
    result = run(pytester, target, one, "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["apis/pets.yaml::contract::GET /pets[[]protocol[]] PASSED*"])


def test_last_failed(pytester: pytest.Pytester, pets: Pets) -> None:
    """--lf runs again what failed, and only that."""
    target = f"--pymacaron-target={pets('header is wrong')}"
    options = ("--pymacaron-max-examples=4", "-k", "GET and not pet_id and not search")
    first = pytester.runpytest_inprocess(target, *options)
    first.assert_outcomes(passed=3, failed=1, skipped=2, deselected=len(PETS_ITEMS) - 6)
    pytester.runpytest_inprocess(target, *options, "--lf").assert_outcomes(failed=1, deselected=len(PETS_ITEMS) - 1)


def test_spec_option(pytester: pytest.Pytester) -> None:
    """A named document is used instead of the folder's, and listing the items sends nothing."""
    pytester.mkdir("apis").joinpath("own.yaml").write_text((SERVICES / "notes.yaml").read_text())
    spec = f"--pymacaron-spec={SERVICES / 'pets.yaml'}"
    result = run(pytester, spec, "--pymacaron-target=http://127.0.0.1:9", "--collect-only", "-q")
    names = [line.replace("pets.yaml::", "openapi.yaml::") for line in result.outlines if "::contract::" in line]
    assert names == PETS_ITEMS
    assert result.ret == 0
    assert not (pytester.path / "pymacaron-report.json").exists()


def test_only_named_tests(pytester: pytest.Pytester, pets: Pets) -> None:
    """Where tests are named, no document is looked for."""
    pytester.makepyfile(test_it="def test_it(http): assert http.get('/pets').ok")
    result = run(pytester, f"--pymacaron-target={pets()}", "test_it.py")
    result.assert_outcomes(passed=1)


def test_conftest_says_who_asks(pytester: pytest.Pytester, pets: Pets) -> None:
    """pytest_pymacaron_auth in conftest.py gives the header line; a bad one is told."""
    pytester.makeconftest(
        "def pytest_pymacaron_auth(config, target, http):\n"
        "    assert http.get('/pets').url.startswith(target.url)\n"
        "    return config.getini('line')\n"
        "def pytest_addoption(parser):\n"
        "    parser.addini('line', '', default='Authorization: Bearer good-token')\n"
    )
    options = (f"--pymacaron-target={pets()}", "-k", "POST and auth and not toys")
    run(pytester, *options).assert_outcomes(passed=1, deselected=len(PETS_ITEMS) - 1)
    result = run(pytester, *options, "-o", "line=nothing")
    assert result.ret == 2
    message = "pytest_pymacaron_auth: it is no header line 'Name: value'. Return 'Authorization: Token …' from it."
    result.stdout.fnmatch_lines([f"! CouldNotTest: {message} !"])


# --- what cannot be tested -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            ["--pymacaron-target=http://127.0.0.1:9"],
            "http://127.0.0.1:9: it does not answer (connection refused). "
            "Start it, or leave --pymacaron-target out to test the service in this folder.",
            id="nobody answers",
        ),
        pytest.param(
            ["--pymacaron-target=localhost:80"],
            "--pymacaron-target: 'localhost:80' is no URL. Write http://host:port, cmd:COMMAND or docker:IMAGE.",
            id="no URL",
        ),
        pytest.param(
            ["--pymacaron-spec=nope.yaml"],
            "*nope.yaml: this file cannot be read (No such file or directory). Give the path of an OpenAPI document.",
            id="no document there",
        ),
        pytest.param(
            ["--pymacaron-auth=nothing"],
            "--pymacaron-auth: it is no header line 'Name: value'. Write --pymacaron-auth 'Authorization: Bearer …'.",
            id="no header line",
        ),
        pytest.param(
            ["--pymacaron-max-examples=-1"],
            "--pymacaron-max-examples: it is below 0. Give the number of random cases.",
            id="no number of cases",
        ),
        pytest.param(
            [],
            "*: it holds no service (server.py beside apis/ or pym-config.yaml) and no target was named. "
            "Add --pymacaron-target=URL, or go to the service's folder.",
            id="no service",
        ),
    ],
)
def test_bad_input(pytester: pytest.Pytester, options: list[str], message: str) -> None:
    """What makes testing impossible is one message and exit code 2, no traceback."""
    # Options are checked before pytest's own set-up is over: only a process of its own shows how that ends.
    result = pytester.runpytest_subprocess("--pymacaron", *options)
    assert result.ret == 2
    lines = [*result.outlines, *result.errlines]
    told = [line for line in lines if "CouldNotTest: " in line]
    assert len(told) == 1
    pytest.LineMatcher([told[0].strip("! ")]).fnmatch_lines([f"CouldNotTest: {message}"])
    assert not any("Traceback" in line for line in lines)


def test_missing_extra(pytester: pytest.Pytester) -> None:
    """Without the packages of the extra it is said which one to install."""
    pytester.makeconftest("import sys\nsys.modules['schemathesis'] = None\n")
    result = pytester.runpytest_subprocess("-p", "no:schemathesis", "--pymacaron")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["Exit: The tests need schemathesis. Run: pip install 'pymacaron[[]testing]'"])


def test_broken_document(pytester: pytest.Pytester, pets: Pets) -> None:
    """A broken document in apis/ is a collection error with its findings, exit code 2."""
    pytester.mkdir("apis").joinpath("pets.yaml").write_text("openapi: 3.1.0\npaths: {}\n")
    result = run(pytester, f"--pymacaron-target={pets()}")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*ERROR collecting apis/pets.yaml*", "*pets.yaml:1*info*", "ERROR apis/pets.yaml"])


def test_target_that_publishes_nothing(pytester: pytest.Pytester, serve: Callable[[Any], str]) -> None:
    """Without any document there is one message and exit code 2."""

    def app(_environ: Any, start: Any) -> list[bytes]:
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"nothing"]

    url = serve(app)
    result = run(pytester, f"--pymacaron-target={url}")
    assert result.ret == 2
    result.stdout.fnmatch_lines(
        [f"! CouldNotTest: {url}: it publishes no API document (looked at /doc, /openapi.json*"]
    )


def test_target_that_dies(pytester: pytest.Pytester) -> None:
    """A target that is gone ends the run with exit code 2; the report holds what was not run."""
    script = pytester.makepyfile(
        dying="""
        import os, sys
        from pathlib import Path
        from werkzeug.serving import make_server

        def app(environ, start):
            if environ["PATH_INFO"] == "/pets":
                os._exit(1)
            start("200 OK", [("Content-Type", "application/yaml")])
            return [Path(sys.argv[1]).read_bytes()]

        server = make_server("127.0.0.1", 0, app)
        print(server.server_port, flush=True)
        server.serve_forever()
        """
    )
    with subprocess.Popen(
        [sys.executable, script, SERVICES / "pets.yaml"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as service:
        assert service.stdout is not None
        url = f"http://127.0.0.1:{int(service.stdout.readline())}"
        result = run(pytester, f"--pymacaron-target={url}", AUTH)
    assert result.ret == 2
    message = "stopped answering during POST /pets (connection refused). Look at what the service printed last"
    result.stdout.fnmatch_lines([f"! CouldNotTest: {url} {message}, and start it again. The request was:"])
    result.stdout.fnmatch_lines([f"    curl -i -X POST * {url}/pets !"])
    assert read_report(pytester)["summary"]["not_run"] == len(PETS_ITEMS)


# --- the service in the folder ---------------------------------------------------------------------------------------


NOTES_TESTS = '''
from pymacaron.config import get_config
from pymacaron.auth import generate_token
from pymacaron_testing import PyMacaronTestCase


def test_tokens(http, token):
    """Tokens of the service's own configuration are let in, in this process made by pymacaron itself too."""
    for text in (token("ada"), token("ada", role="admin"), generate_token("ada")):
        answer = http.post("/notes", json={"text": "x"}, headers={"Authorization": f"Bearer {text}"})
        assert answer.status_code == 201, answer.text
    assert get_config().name == "notes"
    assert get_config().env == "test"


class ServiceTests(PyMacaronTestCase):
    def test_service(self):
        self.assertHasPing()
        self.assertHasVersion()
        self.assertHasAuthVersion()
'''


def is_closed(url: str) -> bool:
    try:
        requests.get(url, timeout=1)
    except requests.ConnectionError:
        return True
    return False


def test_own_service(pytester: pytest.Pytester) -> None:
    """Without a target the service of the folder is started for the run, tested with its own tokens, and stopped."""
    write_service(pytester.path)
    pytester.makeini("[pytest]\npymacaron = true\nfilterwarnings = error\n")
    pytester.mkdir("testaccept").joinpath("test_notes.py").write_text(NOTES_TESTS)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--pymacaron-max-examples=4")
    assert result.ret == 0, result.stdout.str()
    report = read_report(pytester)
    assert report["summary"]["passed"] == len(report["items"]) == 13
    assert "apis/notes.yaml::contract::POST /notes[auth]" in {item["nodeid"] for item in report["items"]}
    assert is_closed(report["target"])
    (start,) = set((pytester.path / "starts").read_text().splitlines())
    assert start.startswith("test ")


def test_workers(pytester: pytest.Pytester) -> None:
    """With pytest-xdist the controller starts one service for all workers and writes one report."""
    write_service(pytester.path)
    pytester.mkdir("testaccept").joinpath("test_notes.py").write_text(NOTES_TESTS)
    options = ("-p", "no:cacheprovider", "--pymacaron", "--pymacaron-max-examples=4", "-n", "2")
    result = pytester.runpytest_subprocess(*options)
    assert result.ret == 0, result.stdout.str()
    report = read_report(pytester)
    assert report["summary"]["passed"] == len(report["items"]) == 13
    assert report["requests_sent"] >= sum(item["requests"] for item in report["items"]) > 20
    assert [document["source"] for document in report["documents"]] == ["apis/notes.yaml"]
    (start,) = set((pytester.path / "starts").read_text().splitlines())
    assert start.startswith("test ")
    assert is_closed(report["target"])


def test_service_that_does_not_start(pytester: pytest.Pytester) -> None:
    """A service that ends at once is told with its last lines, exit code 2."""
    write_service(pytester.path)
    (pytester.path / "server.py").write_text("raise RuntimeError('planted fault')\n")
    result = run(pytester, "--pymacaron")
    assert result.ret == 2
    message = "it ended with code 2 before it answered. Run the command yourself to see more; the last lines that it *"
    command = "*-m pymacaron.cli run --folder . --port *"
    result.stdout.fnmatch_lines([f"*CouldNotTest: {command}: {message}", "*RuntimeError: planted fault*"])


def test_bad_configuration(pytester: pytest.Pytester) -> None:
    """A broken pym-config.yaml is told before anything is started, exit code 2."""
    write_service(pytester.path)
    (pytester.path / "pym-config.yaml").write_text("validation_status: many\n")
    result = pytester.runpytest_subprocess("--pymacaron")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["CouldNotTest: *pym-config.yaml:1: validation_status is 'many'*"])


def test_interrupt(pytester: pytest.Pytester) -> None:
    """Ctrl-C leaves a report in which the rest is not run, and no service behind."""
    write_service(pytester.path)
    pytester.mkdir("testaccept").joinpath("test_slow.py").write_text(
        "import pathlib, time\n"
        "def test_slow(target):\n"
        "    pathlib.Path('running').write_text(target.url)\n"
        "    time.sleep(60)\n"
        "def test_after(): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--pymacaron", "testaccept"]
    with subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.DEVNULL, env=dict(os.environ)) as process:
        mark = pytester.path / "running"
        deadline = time.monotonic() + 60
        while not (mark.exists() and mark.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
    assert process.returncode == 2
    report = read_report(pytester)
    assert report["summary"]["not_run"] == 2
    assert report["exit_code"] == 2
    assert is_closed(mark.read_text())


def test_fixture_alone(pytester: pytest.Pytester) -> None:
    """A fixture starts the service also where no contract was asked for; then no report is written."""
    write_service(pytester.path)
    pytester.makepyfile(test_it="def test_it(http): assert http.get('/ping').json() == {}")
    result = run(pytester)
    result.assert_outcomes(passed=1)
    assert not (pytester.path / "pymacaron-report.json").exists()
