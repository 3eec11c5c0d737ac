"""Images for tests: a registry on a free port, a base image of the running Python, and services in images.

The base image holds this machine's Python, its shared libraries, a few programs, and what pymacaron depends on, as
installed here; its layers are made once per machine, in ``~/.cache/pymacaron-tests``. Nothing comes from the network.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
import requests
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parent.parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pymacaron-tests" / "images"
PACKAGES = "usr/local/packages"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
_START_TIMEOUT_S = 20
_PROGRAMS = ("sh", "cat", "chmod", "cp", "echo", "env", "id", "ls", "mkdir", "rm", "sleep", "true")
_LEFT_OUT = re.compile(
    r"(^|/)(test|tests|idlelib|tkinter|turtledemo|lib2to3|distutils|pydoc_data|ensurepip|site-packages|dist-packages"
    r"|config-[^/]*)(/|$)|\.opt-[12]\.pyc$"
)
_PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_KIND = "application/vnd.oci.image"
_BASE = "base"
_ENVIRONMENT = ["PATH=/usr/local/bin:/usr/bin:/bin", f"PYTHONPATH=/{PACKAGES}", "LANG=C.UTF-8", "HOME=/tmp"]
# Libraries that compiled modules of packages ask for, beside those that Python itself needs.
_LIBRARIES = ("libdl.so.2", "libgcc_s.so.1", "libpthread.so.0", "librt.so.1", "libstdc++.so.6", "libutil.so.1")
_OWN_PACKAGES = ("pymacaron", "pymacaron_testing", "monitoring/pymacaron_monitoring")


def require_registry() -> None:
    """Skip the test, or fail it where services are required, unless there is a docker-registry."""
    if not shutil.which("docker-registry"):
        _lack("there is no docker-registry (Debian package docker-registry)")


def require_engine() -> None:
    """Skip the test, or fail it where services are required, unless a Docker engine answers."""
    if not shutil.which("docker"):
        _lack("there is no docker command (Debian package docker.io)")
    done = subprocess.run(["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, check=False)
    if done.returncode:
        _lack("no Docker engine answers")


def _lack(reason: str) -> None:
    if os.environ.get("PYMACARON_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer in the registry. digest: of what is there, packed. size: of that, bytes. diff_id: digest, unpacked."""

    digest: str
    size: int
    diff_id: str


@dataclass(slots=True)
class Registry:
    """A docker-registry that runs. host: ``127.0.0.1:5123``. folder: what it keeps."""

    host: str
    folder: Path
    _base: str = ""
    _base_layers: list[Layer] = field(default_factory=list)

    def push_blob(self, repository: str, data: bytes) -> str:
        """Put *data* there and return its digest."""
        digest = _digest(data)
        place = requests.post(f"http://{self.host}/v2/{repository}/blobs/uploads/", timeout=60).headers["Location"]
        requests.put(place, params={"digest": digest}, data=data, timeout=60).raise_for_status()
        return digest

    def mount_blob(self, repository: str, digest: str, source: str) -> None:
        """Give *repository* a blob that *source* has."""
        asked = {"mount": digest, "from": source}
        answer = requests.post(f"http://{self.host}/v2/{repository}/blobs/uploads/", params=asked, timeout=60)
        assert answer.status_code == requests.codes.created, answer.text

    def push_manifest(self, repository: str, tag: str, manifest: dict[str, object]) -> str:
        """Put an OCI *manifest* there and return its digest."""
        answer = requests.put(
            f"http://{self.host}/v2/{repository}/manifests/{tag}",
            data=json.dumps(manifest),
            headers={"Content-Type": str(manifest["mediaType"])},
            timeout=60,
        )
        answer.raise_for_status()
        return answer.headers["Docker-Content-Digest"]


@contextmanager
def run_registry(folder: Path, settings: Mapping[str, object] | None = None) -> Iterator[Registry]:
    """Run docker-registry on a free port of 127.0.0.1, with *folder* for its data, and stop it.

    settings: more of its configuration.
    """
    require_registry()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "registry.yml"
    storage = {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}}
    told = {"version": 0.1, "log": {"level": "warn"}, "storage": storage, "http": {"addr": f"127.0.0.1:{port}"}}
    file.write_text(json.dumps({**told, **(settings or {})}))
    with (folder / "registry.log").open("wb") as log:
        server = subprocess.Popen(["docker-registry", "serve", str(file)], stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/v2/", server, folder / "registry.log")
        yield Registry(f"127.0.0.1:{port}", folder)
    finally:
        server.terminate()
        server.wait(_START_TIMEOUT_S)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(requests.RequestException):
            requests.get(url, timeout=2)
            return
        time.sleep(0.05)
    pytest.fail(f"docker-registry does not answer: {log.read_text()}")


def base_image(registry: Registry) -> str:
    """Return ``repository@sha256:…`` of an image that runs this Python with pymacaron and all that it depends on."""
    if not registry._base:
        cached = [_cached(_python_key(), _python_layer), _cached(_packages_key(), _packages_layer)]
        layers = [*(_push_cached(registry, file) for file in cached), _push_layer(registry, _BASE, _own_layer())]
        registry._base = _push_image(registry, f"{_BASE}:{PYTHON}", layers, {"Env": _ENVIRONMENT, "Cmd": ["python3"]})
        registry._base_layers = layers
    return registry._base


def service_image(registry: Registry, folder: Path, version: str = "test") -> str:
    """Return ``repository@sha256:…`` of the service in *folder*, which runs as nobody and listens on $PORT or 8080."""
    base_image(registry)
    name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-") or "service"
    for layer in registry._base_layers:
        registry.mount_blob(name, layer.digest, _BASE)
    layers = [*registry._base_layers, _push_layer(registry, name, _service_layer(folder, version))]
    settings: dict[str, object] = {
        "Env": [*_ENVIRONMENT, "PORT=8080", "PYM_DATA_DIR=/data", "PYTHONUNBUFFERED=1"],
        "Entrypoint": ["python3", "-m", "pymacaron.cli"],
        "Cmd": ["run", "--host", "0.0.0.0"],
        "WorkingDir": "/pym",
        "User": "65534:65534",
        "ExposedPorts": {"8080/tcp": {}},
    }
    return _push_image(registry, f"{name}:{version}", layers, settings)


def script_image(registry: Registry, name: str, script: str) -> str:
    """Return ``repository@sha256:…`` of an image that runs the Python text *script*, and starts at once."""
    base_image(registry)
    for layer in registry._base_layers:
        registry.mount_blob(name, layer.digest, _BASE)
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb", compresslevel=1, mtime=0) as packed, _writing(packed) as archive:
        _add_text(archive, "pym/script.py", script)
    layers = [*registry._base_layers, _push_layer(registry, name, content.getvalue())]
    settings: dict[str, object] = {
        "Env": [*_ENVIRONMENT, "PYTHONUNBUFFERED=1"],
        "Cmd": ["python3", "/pym/script.py"],
        "User": "65534:65534",
    }
    return _push_image(registry, f"{name}:test", layers, settings)


def _service_layer(folder: Path, version: str) -> bytes:
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb", compresslevel=1, mtime=0) as packed, _writing(packed) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                _add_file(archive, file, f"pym/{file.relative_to(folder)}")
        _add_text(archive, "pym/VERSION", f"{version}\n")
        _add_folder(archive, "data", 0o1777)
    return content.getvalue()


def _push_layer(registry: Registry, repository: str, data: bytes) -> Layer:
    return Layer(registry.push_blob(repository, data), len(data), _digest(gzip.decompress(data)))


def _push_cached(registry: Registry, file: Path) -> Layer:
    data = file.read_bytes()
    return Layer(registry.push_blob(_BASE, data), len(data), file.with_suffix(".diff_id").read_text())


def _push_image(registry: Registry, name: str, layers: list[Layer], settings: dict[str, object]) -> str:
    """Push the image ``repository:tag`` of *layers* that are there; return its reference by digest."""
    repository, tag = name.split(":")
    machine = os.uname().machine
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine),
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }
    content = json.dumps(config).encode()
    digest = registry.push_blob(repository, content)
    described = [
        {"mediaType": f"{_KIND}.layer.v1.tar+gzip", "digest": layer.digest, "size": layer.size} for layer in layers
    ]
    manifest: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": f"{_KIND}.manifest.v1+json",
        "config": {"mediaType": f"{_KIND}.config.v1+json", "digest": digest, "size": len(content)},
        "layers": described,
    }
    return f"{registry.host}/{repository}@{registry.push_manifest(repository, tag, manifest)}"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _cached(key: str, write: Callable[[tarfile.TarFile], None]) -> Path:
    """Return the layer that *write* makes, made once per machine and *key*; its digest, unpacked, lies beside it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    file = CACHE / f"{key}.tar.gz"
    with (CACHE / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            part = file.with_suffix(".part")
            with gzip.GzipFile(part, mode="wb", compresslevel=1, mtime=0) as packed, _writing(packed) as archive:
                write(archive)
            file.with_suffix(".diff_id").write_text(_digest(gzip.decompress(part.read_bytes())))
            part.rename(file)
    return file


@contextmanager
def _writing(target: gzip.GzipFile) -> Iterator[tarfile.TarFile]:
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        yield archive


def _python_key() -> str:
    seed = json.dumps([sys.version, sys.base_prefix, Path(__file__).read_text()])
    return f"{PYTHON}-{hashlib.sha256(seed.encode()).hexdigest()[:16]}"


def _python_layer(archive: tarfile.TarFile) -> None:
    """Write Python at /usr/local, programs at /usr/bin, and the shared libraries of both where the linker looks."""
    for name, mode in (("tmp", 0o1777), ("etc", 0o755), ("root", 0o700), ("usr", 0o755), ("usr/bin", 0o755)):
        _add_folder(archive, name, mode)
    for name in ("bin", "lib", "lib64"):
        _add_link(archive, name, f"usr/{name}")
    _add_text(archive, "etc/passwd", _PASSWD)
    _add_text(archive, "etc/group", "root:x:0:\nnogroup:x:65534:\n")
    _add_text(archive, "etc/nsswitch.conf", "hosts: files dns\n")
    standard = Path(sysconfig.get_path("stdlib"))
    for file in sorted(standard.rglob("*")):
        relative = file.relative_to(standard).as_posix()
        if not _LEFT_OUT.search(relative) and file.is_file() and file.suffix != ".a":
            _add_file(archive, file, f"usr/local/lib/{PYTHON}/{relative}")
    executable = Path(sys.executable).resolve()
    _add_file(archive, executable, f"usr/local/bin/{PYTHON}")
    for name in ("python", "python3"):
        _add_link(archive, f"usr/local/bin/{name}", PYTHON)
    programs = [Path(found).resolve() for found in map(shutil.which, _PROGRAMS) if found]
    for name, program in zip(_PROGRAMS, programs, strict=True):
        _add_file(archive, program, f"usr/bin/{name}")
    modules = (standard / "lib-dynload").glob("*.so")
    for place, library in sorted(_find_libraries([executable, *programs, *modules]).items()):
        _add_file(archive, library, place)


def _find_libraries(programs: list[Path]) -> dict[str, Path]:
    """Return the shared libraries of *programs*: place in the image -> file here."""
    told = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False).stdout
    libraries: dict[str, Path] = {}
    for name in re.findall(r"(/\S+) \(0x", told):
        libraries[f"usr/lib64/{Path(name).name}" if "/ld-linux" in name else f"usr/lib/{Path(name).name}"] = Path(name)
    for folder in {file.parent for place, file in libraries.items() if place.startswith("usr/lib/libc.so")}:
        for name in _LIBRARIES:
            if (folder / name).exists():
                libraries[f"usr/lib/{name}"] = folder / name
    return libraries


def _packages_key() -> str:
    names = sorted(f"{found.metadata['Name']}=={found.version}" for found in _find_dependencies("pymacaron").values())
    seed = json.dumps([sys.version, names, Path(__file__).read_text()])
    return f"packages-{hashlib.sha256(seed.encode()).hexdigest()[:16]}"


def _find_dependencies(name: str) -> dict[str, Distribution]:
    """Return what *name* needs here, however far away, itself left out: name -> distribution."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(name)]
    seen: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        installed = distribution(wanted.name)
        found[wanted.name.lower()] = installed
        for line in installed.requires or []:
            needed = Requirement(line)
            extras = [*wanted.extras, ""]
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    del found[name]
    return found


def _packages_layer(archive: tarfile.TarFile) -> None:
    added: set[Path] = set()
    for installed in _find_dependencies("pymacaron").values():
        for listed in installed.files or []:
            file = Path(str(installed.locate_file(listed)))
            if listed.parts[0] != ".." and file.is_file() and file not in added:
                added.add(file)
                _add_file(archive, file, f"{PACKAGES}/{listed}")


def _own_layer() -> bytes:
    """Return the layer with pymacaron as it stands in this repository, and its metadata as installed here."""
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb", compresslevel=1, mtime=0) as packed, _writing(packed) as archive:
        for name in _OWN_PACKAGES:
            folder = REPOSITORY / name
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    _add_file(archive, file, f"{PACKAGES}/{folder.name}/{file.relative_to(folder)}")
        installed = distribution("pymacaron")
        for listed in installed.files or []:
            if listed.name in {"METADATA", "entry_points.txt"}:
                _add_file(archive, Path(str(installed.locate_file(listed))), f"{PACKAGES}/{listed}")
    return content.getvalue()


def _add_file(archive: tarfile.TarFile, file: Path, place: str) -> None:
    """Add what *file* holds, links followed, readable by everybody, its time kept: compiled modules go by it."""
    entry = tarfile.TarInfo(place)
    state = file.stat()
    entry.size, entry.mtime = state.st_size, int(state.st_mtime)
    entry.mode = 0o755 if state.st_mode & 0o111 else 0o644
    with file.open("rb") as source:
        archive.addfile(entry, source)


def _add_folder(archive: tarfile.TarFile, place: str, mode: int) -> None:
    entry = tarfile.TarInfo(place)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    archive.addfile(entry)


def _add_text(archive: tarfile.TarFile, place: str, text: str) -> None:
    entry = tarfile.TarInfo(place)
    entry.size = len(text.encode())
    archive.addfile(entry, io.BytesIO(text.encode()))


def _add_link(archive: tarfile.TarFile, place: str, target: str) -> None:
    entry = tarfile.TarInfo(place)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    archive.addfile(entry)
