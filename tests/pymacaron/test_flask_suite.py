"""Flask's own tests pass with requests that go the lean way.

The tests are in Flask's source distribution. It is fetched once with pip and kept, with the version of pytest that they
were written for, in ``~/.cache/pymacaron-tests``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import pymacaron

pytestmark = pytest.mark.unmeasured

HERE = Path(__file__).parent / "flask_suite"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pymacaron-tests"
EXCEPTIONS = HERE / "exceptions.yaml"
# The oldest that pyproject.toml allows.
OLDEST = ("flask==3.0.0", "werkzeug==3.0.3")
NEWEST = (f"flask=={version('flask')}", f"werkzeug=={version('werkzeug')}")
PYTEST = "pytest==8.4.2"
GREENLET = "greenlet==3.2.4"
LEAST_TESTS = 400
LEAST_LEAN_SHARE = 0.8


@dataclass(frozen=True)
class Suite:
    """Flask's tests, and the folder of packages that go before those of this environment."""

    tests: Path
    packages: Path


@dataclass(frozen=True)
class Outcome:
    """What a run came to; outcomes: test -> passed, failed or skipped."""

    outcomes: dict[str, str]
    requests: int
    lean_requests: int

    @property
    def passed(self) -> set[str]:
        """Return the names of the tests that passed."""
        return {name for name, outcome in self.outcomes.items() if outcome == "passed"}


def fetch_suite(flask: str, werkzeug: str) -> Suite:
    """Return the tests of a version, from the cache or else with pip. Skips where that cannot be had."""
    name = flask.replace("==", "-")
    folder = CACHE / f"{name}-{werkzeug}-{PYTEST}-{GREENLET}-python{sys.version_info.major}.{sys.version_info.minor}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as made:
            new = Path(made) / "new"
            try:
                _pip("download", "--no-deps", "--no-binary", "flask", "--dest", made, flask)
                _pip("install", "--no-deps", "--target", str(new / "packages"), flask, werkzeug, PYTEST, GREENLET)
            except subprocess.CalledProcessError as error:
                reason = f"{flask} cannot be had from the package index: {error.stderr[-300:]}"
                (pytest.fail if os.environ.get("PYMACARON_REQUIRE_SERVICES") == "1" else pytest.skip)(reason)
            with tarfile.open(next(Path(made).glob("*.tar.gz"))) as archive:
                archive.extractall(new, filter="data")
            if not folder.exists():  # another worker may have been faster
                shutil.move(new, folder)
    return Suite(folder / name, folder / "packages")


def _pip(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "-q", *arguments], check=True, capture_output=True, text=True, timeout=120
    )


def run_suite(suite: Suite, app_class: str, folder: Path, *options: str) -> Outcome:
    """Run Flask's tests with *app_class*, ``module:Class``, in place of Flask."""
    report = folder / f"{app_class.partition(':')[2]}.json"
    settings = {"FLASK_SUITE_APP": app_class, "FLASK_SUITE_REPORT": str(report)}
    arguments = ["-p", "in_place_of_flask", "--rootdir", str(suite.tests), "-c", str(suite.tests / "pyproject.toml")]
    arguments += ["--basetemp", str(folder / "tests"), *options, str(suite.tests / "tests")]
    done = run_pytest(suite, suite.tests, settings, arguments)
    assert done.returncode in {0, 1}, done.stdout[-2000:] + done.stderr[-2000:]
    return Outcome(**json.loads(report.read_text()))


def run_pytest(
    suite: Suite, folder: Path, settings: dict[str, str], arguments: list[str]
) -> subprocess.CompletedProcess[str]:
    """Run the suite's pytest in *folder* with the suite's Flask, our packages and the environment *settings*."""
    root = Path(pymacaron.__file__).parents[1]
    foreign = ("PYTEST_", "PYM_", "FLASK_")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        "PYTHONPATH": os.pathsep.join(map(str, [suite.packages, HERE, root, root / "monitoring"])),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        **settings,
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("versions", [pytest.param(OLDEST, id="oldest"), pytest.param(NEWEST, id="newest")])
def test_flasks_own_tests_pass(versions: tuple[str, str], tmp_path: Path) -> None:
    """What passes with Flask passes with ours, but for listed exceptions, each with its reason."""
    suite = fetch_suite(*versions)
    plain = run_suite(suite, "flask:Flask", tmp_path)
    lean = run_suite(suite, "lean_flask:LeanFlask", tmp_path)
    assert len(plain.passed) >= LEAST_TESTS
    exceptions = yaml.safe_load(EXCEPTIONS.read_text())
    assert plain.passed - lean.passed == plain.passed & set(exceptions)
    assert lean.lean_requests >= LEAST_LEAN_SHARE * lean.requests, f"{lean.lean_requests} of {lean.requests}"


def test_the_oldest_flask_keeps_our_promises_too(tmp_path: Path) -> None:
    """Operations are compared with the oldest Flask as they are with the newest, in the folder beside."""
    promises = HERE.with_name("promises")
    done = run_pytest(
        fetch_suite(*OLDEST), promises.parents[2], {}, ["--basetemp", str(tmp_path / "tests"), str(promises)]
    )
    assert done.returncode == 0, done.stdout[-5000:]


def test_a_broken_promise_is_noticed(tmp_path: Path) -> None:
    """A class that forgets teardown functions fails Flask's tests of them, but not those of other hooks."""
    suite = fetch_suite(*NEWEST)
    outcome = run_suite(suite, "broken_flask:BrokenFlask", tmp_path, "-k", "teardown or after_request")
    assert "tests/test_basic.py::test_teardown_request_handler" not in outcome.passed
    assert "tests/test_basic.py::test_after_request_processing" in outcome.passed
