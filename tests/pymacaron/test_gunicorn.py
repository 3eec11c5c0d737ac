"""gunicorn is configured as `pymacaron run` serves."""

from __future__ import annotations

import gc
import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

import pymacaron.server
from pymacaron.server import METRICS_FOLDER_VARIABLE

VARIABLES = ("PORT", "PYM_SERVER_PORT", "PYM_SERVER_HOST", "PYM_GUNICORN_WORKERS_COUNT", "PYM_DEBUG", "PYM_ENV")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Configure from an empty folder and no environment."""
    monkeypatch.chdir(tmp_path)
    for name in (*VARIABLES, METRICS_FOLDER_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def load() -> ModuleType:
    """Return the configuration as gunicorn gets it."""
    file = Path(pymacaron.server.__file__).parent / "gunicorn.py"
    spec = importlib.util.spec_from_file_location("gunicorn_configuration", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("environment", "bind"),
    [
        pytest.param({}, "127.0.0.1:8000", id="default"),
        pytest.param({"PORT": "81"}, "0.0.0.0:81", id="PORT"),
        pytest.param({"PORT": "81", "PYM_SERVER_HOST": "10.0.0.1"}, "10.0.0.1:81", id="PYM_SERVER_HOST"),
    ],
)
def test_address(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], bind: str) -> None:
    """As gunicorn itself has it, with pymacaron's variables."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert load().bind == bind


def test_numbers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of the service's configuration; the environment goes first."""
    (tmp_path / "pym-config.yaml").write_text("worker_count: 3\nthread_count: 5\nworker_max_requests: 1000\n")
    settings = load()
    assert (settings.workers, settings.threads, settings.max_requests, settings.max_requests_jitter) == (
        3,
        5,
        1000,
        100,
    )
    monkeypatch.setenv("PYM_GUNICORN_WORKERS_COUNT", "7")
    assert load().workers == 7
    assert load().worker_class == "gthread"


def test_a_broken_configuration_is_one_message(tmp_path: Path) -> None:
    """No traceback: gunicorn ends with the finding."""
    (tmp_path / "pym-config.yaml").write_text("worker_count: many\n")
    with pytest.raises(SystemExit, match=r"pym-config.yaml:1: worker_count is 'many'"):
        load()


def test_the_folder_of_counters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is made at the start and removed at the end, unless somebody named one, or a new gunicorn goes on with it."""
    settings = load()
    settings.on_starting(None)
    folder = Path(os.environ[METRICS_FOLDER_VARIABLE])
    assert folder.is_dir()
    settings.pre_exec(None)
    settings.on_exit(None)
    assert folder.is_dir()
    folder.rmdir()
    monkeypatch.delenv(METRICS_FOLDER_VARIABLE)
    settings.on_starting(None)
    folder = Path(os.environ[METRICS_FOLDER_VARIABLE])
    settings.on_exit(None)
    assert not folder.exists()
    monkeypatch.setenv(METRICS_FOLDER_VARIABLE, str(tmp_path))
    settings.on_starting(None)
    settings.on_exit(None)
    assert tmp_path.is_dir()


def test_garbage_is_not_looked_for_while_the_app_is_loaded() -> None:
    """And afterwards it is."""
    settings = load()
    settings.post_fork(None, None)
    assert not gc.isenabled()
    settings.post_worker_init(None)
    assert gc.isenabled()
    gc.unfreeze()
