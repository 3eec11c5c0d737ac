"""Configuration for gunicorn: ``gunicorn --config python:pymacaron.gunicorn server:app``.

Its names are gunicorn's settings; what the command line says goes before them. Workers, threads and limits are those of
``pymacaron run``. Source: https://docs.gunicorn.org/en/stable/settings.html
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from pymacaron.config import PymConfig, load_config
from pymacaron.exceptions import StartupError
from pymacaron.server import METRICS_FOLDER_VARIABLE, allow_files, find_development_port
from pymacaron.serving import Settings, choose_settings

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - gunicorn makes files of its own there
_owned: list[str] = []


def _load_config() -> PymConfig:
    try:
        return load_config(Path.cwd())
    except StartupError as error:
        raise SystemExit(f"{error}") from None


def _find_count(variable: str) -> int | None:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() and int(text) else None


def _find_settings() -> Settings:
    counts = {name: _find_count(f"PYM_GUNICORN_{name.upper()}_COUNT") for name in ("workers", "threads")}
    return choose_settings(_load_config(), is_development=os.environ.get("PYM_DEBUG") == "1", **counts)


_settings = _find_settings()
_host = os.environ.get("PYM_SERVER_HOST") or ("0.0.0.0" if os.environ.get("PORT") else "127.0.0.1")  # noqa: S104 - as gunicorn

bind = f"{_host}:{find_development_port()}"
worker_class = "gthread"
workers = _settings.workers
threads = _settings.threads
worker_connections = max(allow_files(_settings.connections), threads + 1)
backlog = _settings.backlog
keepalive = int(_settings.keep_alive_s)
graceful_timeout = int(_settings.replaced_timeout_s)
timeout = 60  # for a worker that does not even answer its supervisor; loading the app is part of it
max_requests = _settings.max_requests or 0
max_requests_jitter = max_requests // 10
preload_app = False  # else HUP would start new workers with the old code
accesslog = None  # the service logs each request itself
worker_tmp_dir = str(_SHARED_MEMORY) if os.access(_SHARED_MEMORY, os.W_OK) else None


def on_starting(_server: Any) -> None:
    """Give the workers a common folder for their counters, unless the environment names one."""
    if not os.environ.get(METRICS_FOLDER_VARIABLE):
        folder = os.environ[METRICS_FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="pymacaron-metrics-")
        _owned.append(folder)


def post_fork(_server: Any, _worker: Any) -> None:
    """Look for no garbage while the app is loaded: what is built then stays."""
    gc.disable()


def post_worker_init(_worker: Any) -> None:
    """Look for garbage from now on, not among what was loaded."""
    gc.freeze()
    gc.enable()


def pre_exec(_server: Any) -> None:
    """Leave the folder to the new gunicorn that USR2 starts."""
    _owned.clear()


def on_exit(_server: Any) -> None:
    """Remove the folder."""
    for folder in _owned:
        shutil.rmtree(folder, ignore_errors=True)
