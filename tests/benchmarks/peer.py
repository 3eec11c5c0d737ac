"""The services that are compared: what each needs, and the servers that it runs on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PEERS = Path(__file__).parent / "peers"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pymacaron-benchmarks"
# Threads of a WSGI server's worker: as many as services that only compute are fastest with. ``pymacaron run`` is
# measured with its own number too, which is for handlers that wait for others.
GUNICORN_THREADS = 4
GRANIAN_THREADS = 1
PYTHON_OF_TWO = "3.8"
_FREEZE = (
    "import json, importlib.metadata as m; print(json.dumps({d.metadata['Name'].lower(): d.version "
    "for d in m.distributions()}))"
)


@dataclass(frozen=True, slots=True)
class Peer:
    """One service. module: ``module:app``. packages: what its environment needs, none for the one that runs this.

    servers: what `make_command` knows, its usual one first. lenient: names of wrong requests that it does not refuse.
    shown: packages whose versions the outcome tells.
    """

    name: str
    module: str
    servers: tuple[str, ...]
    packages: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    lenient: tuple[str, ...] = ()
    folder: Path = PEERS
    is_old: bool = False
    environment: dict[str, str] = field(default_factory=dict)


_ASGI = ("uvicorn[standard]", "granian", "pyjwt")
_WSGI = ("gunicorn", "granian", "pyjwt")
_OLD = ("pymacaron<3", "pydantic<2", "click<8", "gunicorn")
PEER_TABLE = (
    Peer(
        "pymacaron",
        "server:app",
        ("pymacaron run", "granian", "gunicorn"),
        shown=("flask", "pydantic", "pyjwt", "granian"),
    ),
    Peer("bare WSGI", "on_wsgi:app", ("granian",), ("pydantic", *_WSGI), ("pydantic", "pyjwt", "granian")),
    # What is left where nobody asks for a token: the most that there is to be had on that server.
    Peer(
        "bare WSGI without JWT",
        "on_wsgi:open_app",
        ("granian",),
        ("pydantic", *_WSGI),
        ("pydantic", "pyjwt", "granian"),
        ("no token", "forged token"),
    ),
    Peer(
        "Flask + pydantic",
        "on_flask:app",
        ("gunicorn", "granian"),
        ("flask", "pydantic", *_WSGI),
        ("flask", "pydantic", "gunicorn", "granian"),
    ),
    Peer(
        "FastAPI",
        "on_fastapi:app",
        ("uvicorn", "granian asgi"),
        ("fastapi", *_ASGI),
        ("fastapi", "pydantic", "uvicorn", "uvloop", "httptools", "granian"),
    ),
    Peer(
        "Litestar",
        "on_litestar:app",
        ("uvicorn", "granian asgi"),
        ("litestar", *_ASGI),
        ("litestar", "msgspec", "uvicorn", "uvloop", "httptools", "granian"),
    ),
    Peer(
        "Connexion",
        "on_connexion:app",
        ("uvicorn", "granian asgi"),
        ("connexion>=3", "rfc3339-validator", "pyyaml", *_ASGI),
        ("connexion", "uvicorn", "granian"),
        ("day as words",),
    ),
    Peer(
        "APIFlask",
        "on_apiflask:app",
        ("gunicorn", "granian"),
        ("apiflask", "pydantic", *_WSGI),
        ("apiflask", "flask", "pydantic", "gunicorn", "granian"),
    ),
    Peer(
        "flask-openapi3",
        "on_flask_openapi3:app",
        ("gunicorn", "granian"),
        ("flask-openapi3", *_WSGI),
        ("flask-openapi3", "flask", "pydantic", "gunicorn", "granian"),
    ),
    Peer(
        "pymacaron 2",
        "server:app",
        ("gunicorn",),
        _OLD,
        ("pymacaron", "flask", "pydantic", "gunicorn"),
        ("no JSON", "no reference", "no quantity", "large discount", "day as words"),
        PEERS / "pymacaron2_service",
        is_old=True,
    ),
)


class MissingPythonError(Exception):
    """There is no Python that a peer needs."""


def build_environment(peer: Peer) -> Path:
    """Return the folder of the programs that *peer* needs, in a virtual environment that is made if there is none.

    Raises: MissingPythonError: there is no Python for it. subprocess.CalledProcessError: pip cannot install it.
    """
    if not peer.packages:
        return Path(sys.executable).parent
    folder = CACHE / peer.name.replace(" ", "-")
    done = folder / "installed.json"
    if not done.exists() or json.loads(done.read_text()) != list(peer.packages):
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([find_python() if peer.is_old else sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", *peer.packages], check=True)
        done.write_text(json.dumps(peer.packages))
    return folder / "bin"


def find_python() -> str:
    """Return Python 3.8: on the path, or one of pyenv's. Raises: MissingPythonError: there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for python in (*sorted(pyenv.glob(f"{PYTHON_OF_TWO}.*/bin/python")), shutil.which(f"python{PYTHON_OF_TWO}")):
        if python:
            return str(python)
    raise MissingPythonError(f"there is no Python {PYTHON_OF_TWO}, the newest that pymacaron 2 runs on")


def find_versions(peer: Peer, programs: Path) -> dict[str, str]:
    """Return package -> version, of the packages whose versions are told, and ``python``'s."""
    python = programs / "python"
    done = subprocess.run([python, "-c", _FREEZE], capture_output=True, text=True, check=True, env=_plain_environment())
    installed = json.loads(done.stdout)
    said = subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    return {"python": said, **{name: installed[name] for name in peer.shown}}


def make_command(peer: Peer, server: str, programs: Path, port: int) -> list[str]:
    """Return the command that serves *peer* with one worker on *port*, from its folder.

    server: ``pymacaron run``; ``granian`` and ``gunicorn`` for WSGI; ``uvicorn`` and ``granian asgi``.
    """
    address = ["--host", "127.0.0.1", "--port", str(port)]
    granian = [str(programs / "granian"), *address, "--workers", "1", "--log-level", "warning", "--no-ws"]
    if server != "gunicorn" and not peer.packages:
        return [str(programs / "python"), "-m", "pymacaron.cli", "run", "--port", str(port), "--workers", "1"]
    if server == "uvicorn":
        return [str(programs / server), peer.module, *address, "--no-access-log", "--log-level", "warning"]
    if server == "gunicorn":
        ours = [] if peer.packages else ["--config", "python:pymacaron.gunicorn"]
        threads = ["--worker-class", "gthread", "--threads", str(GUNICORN_THREADS), "--workers", "1"]
        address = ["--bind", f"127.0.0.1:{port}"]
        return [str(programs / server), peer.module, *ours, *address, *threads, "--log-level", "warning"]
    if server == "granian asgi":
        return [*granian, "--interface", "asgi", peer.module]
    return [*granian, "--interface", "wsgi", "--blocking-threads", str(GRANIAN_THREADS), peer.module]


def make_process_environment(peer: Peer, server: str) -> dict[str, str]:
    """Return the environment variables of the service's process."""
    folders = (PEERS, peer.folder) if peer.packages else (ROOT, ROOT / "monitoring", peer.folder)
    path = os.pathsep.join(map(str, folders))
    threads = {"PYM_GUNICORN_THREADS_COUNT": str(GRANIAN_THREADS)} if server == "granian" else {}
    return {**_plain_environment(), "PYTHONPATH": path, **threads, **peer.environment}


def _plain_environment() -> dict[str, str]:
    """Return this process's variables without those that would change a service."""
    foreign = ("PYM_", "PYMACARON_", "PROMETHEUS_", "PYTHON", "VIRTUAL_ENV", "WEB_CONCURRENCY", "UVICORN_", "GRANIAN_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
