"""The packages of an image: what the service's lock or requirements file names, as wheels of the image's platform."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path

from pymacaron.deploy.image_layer import Blob, Layer, LayerArchive, cache_folder, use_file, write_layer
from pymacaron.exceptions import ConfigError, Finding, TargetError

PACKAGES = "opt/pymacaron"
"""Where packages lie in the image; PYTHONPATH names it."""

REQUIREMENTS = ("pylock.toml", "uv.lock", "requirements.lock", "requirements.txt")
_TIME = 315532800  # 1980-01-01: what wheels themselves use, and zip files can say
_LOOSE_FOR_S = 24 * 3600
_NEWEST_GLIBC = 28
# What installers note for themselves: when, from where, by whom.
_NOTES = (".lock", *(f"*.dist-info/{name}" for name in ("INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")))
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_LOCAL = re.compile(r"(\.{0,2}/|file:|-e\b|--editable)")
_ANY_PATH = re.compile(rb"\A#!.*\n")


class WheelMissingError(TargetError):
    """A package has no wheel for the image's platform: it would have to be compiled."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What runs the image. python: ``3.13``. machine: ``amd64`` or ``arm64``. is_musl: Alpine's C library."""

    python: str
    machine: str = "amd64"
    is_musl: bool = False

    @property
    def wheel_tags(self) -> list[str]:
        """Return the platform tags of wheels that run there (PEP 600 and 656), the best first."""
        machine = _MACHINES.get(self.machine, self.machine)
        if self.is_musl:
            return [f"musllinux_1_{minor}_{machine}" for minor in (2, 1, 0)]
        tags = [f"manylinux_2_{minor}_{machine}" for minor in range(_NEWEST_GLIBC, 4, -1)]
        return [*tags, *(f"{old}_{machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1"))]

    def __str__(self) -> str:
        """Return ``Python 3.13 on linux/amd64``."""
        return f"Python {self.python} on linux/{self.machine}{' (musl)' if self.is_musl else ''}"


@dataclass(frozen=True, slots=True)
class Packages:
    """What is installed. layer: None if there is nothing. installed: name -> version, sorted. sha256: of the wish."""

    layer: Layer | None
    installed: Mapping[str, str]
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be installed.

    text: a requirements file's, with all that it includes. is_exact: every package is there, with its hash.
    is_exported: only *text* can be installed, *file* is something else.
    """

    file: Path
    text: str = field(repr=False)
    is_exact: bool
    is_exported: bool = False

    def hash(self, platform: Platform) -> str:
        """Return what names the answer: the same for the same wish, platform, and wheels in local folders."""
        seen = hashlib.sha256(f"{platform}\n{self.text}\n".encode())
        for folder in os.environ.get("PIP_FIND_LINKS", "").split():
            for wheel in sorted(Path(folder).glob("*.whl")):
                seen.update(f"{wheel.name} {wheel.stat().st_size} {wheel.stat().st_mtime_ns}\n".encode())
        return seen.hexdigest()


def read_wish(folder: Path, file: Path | None = None) -> Wish | None:
    """Return what the service in *folder* wants installed: its lock file, else its requirements; None without either.

    file: read that one instead. pylock.toml (PEP 751) is read here, uv.lock by uv.
    Raises: ConfigError: the file cannot be used for an image.
    """
    found = file or next((folder / name for name in REQUIREMENTS if (folder / name).is_file()), None)
    if found is None:
        return None
    if not found.is_file():
        raise ConfigError(Finding(str(found), "there is no such file", "Name a lock or requirements file"))
    if found.name.startswith("pylock.") and found.suffix == ".toml":
        return Wish(found, _read_pylock(found), is_exact=True, is_exported=True)
    if found.name == "uv.lock":
        return Wish(found, _export_uv(found), is_exact=True, is_exported=True)
    text = _read_requirements(found)
    lines = [line.strip() for line in text.splitlines()]
    local = [line for line in lines if _LOCAL.match(line)]
    if local:
        fix = "Name its release, or a wheel that --find-links finds"
        raise ConfigError(Finding(found.name, f"{local[0]} is a folder of this machine, not a package", fix))
    return Wish(found, text, is_exact="--hash=" in text)


def _read_requirements(file: Path, above: tuple[Path, ...] = ()) -> str:
    """Return the text of a requirements file and of those that it includes. above: those that include it."""
    if not file.is_file():
        raise ConfigError(Finding(str(file), "there is no such file", "Mend the line that includes it"))
    if file.resolve() in above:
        raise ConfigError(Finding(str(file), "it includes itself, by way of others", "Leave one of these lines out"))
    text = file.read_text(encoding="utf-8")
    included = re.findall(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]+(\S+)", text, re.MULTILINE)
    above = (*above, file.resolve())
    return "\n".join([text, *(_read_requirements(file.parent / name, above) for name in included)])


def _read_pylock(file: Path) -> str:
    """Return the packages of a lock file as lines of a requirements file, hashes and markers included."""
    lines = []
    for package in tomllib.loads(file.read_text(encoding="utf-8")).get("packages", []):
        archives = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        hashes = sorted(
            f"--hash=sha256:{given['hashes']['sha256']}" for given in archives if "sha256" in given["hashes"]
        )
        if "version" not in package or not hashes:
            fix = "Lock a release of it that has a version and hashes"
            raise ConfigError(Finding(file.name, f"{package.get('name')} comes from a folder or repository", fix))
        marker = f" ; {package['marker']}" if package.get("marker") else ""
        lines.append(f"{package['name']}=={package['version']}{marker} {' '.join(hashes)}")
    return "\n".join(lines)


def _export_uv(file: Path) -> str:
    uv = shutil.which("uv")
    if uv is None:
        raise ConfigError(Finding(file.name, "only uv reads it, and there is no uv", "Run: pip install uv"))
    command = [uv, "export", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--quiet"]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False)  # noqa: S603 - uv
    if done.returncode:
        found = f"uv cannot export it: {_last_words(done.stderr)}"
        raise ConfigError(Finding(file.name, found, "Run uv lock"))
    return done.stdout


def install_packages(
    wish: Wish | None, platform: Platform, *, is_fresh: bool = False, wheels: Path | None = None
) -> Packages:
    """Return the layer with what *wish* names, made once: without hashes it is resolved again after a day.

    is_fresh: resolve now. wheels: a folder with more of them.
    Raises: WheelMissingError: a package would have to be compiled. TargetError: pip fails.
    """
    if wish is None or not _has_requirements(wish.text):
        return Packages(None, {})
    sha256 = wish.hash(platform)
    note = cache_folder("packages") / f"{sha256}.json"
    known = None if is_fresh else _read_note(note, wish)
    if known:
        return known
    with tempfile.TemporaryDirectory(prefix="pymacaron-packages-") as work:
        target = Path(work) / "target"
        target.mkdir()
        _run_installer(wish, platform, Path(work), wheels)
        _make_relocatable(target)
        _compile(target, platform)
        layer = write_layer(lambda archive: _fill(archive, target), moment=_TIME)
        installed = {item.metadata["Name"]: item.version for item in distributions(path=[str(target)])}
    installed = dict(sorted(installed.items(), key=lambda item: item[0].lower()))
    note.write_text(json.dumps({**layer.to_json(), "installed": installed, "made": int(time.time())}), encoding="utf-8")
    return Packages(layer, installed, sha256)


def _has_requirements(text: str) -> bool:
    return any(line.strip() and not line.strip().startswith("#") for line in text.splitlines())


def _read_note(note: Path, wish: Wish) -> Packages | None:
    if not note.is_file():
        return None
    told = json.loads(note.read_text(encoding="utf-8"))
    file = cache_folder("layers") / f"{told['digest'].replace(':', '-')}.tar.gz"
    if not file.is_file() or (not wish.is_exact and time.time() - told["made"] > _LOOSE_FOR_S):
        return None
    layer = Layer(Blob(told["digest"], told["size"], use_file(file)), told["diff_id"])
    return Packages(layer, told["installed"], note.stem)


def _run_installer(wish: Wish, platform: Platform, work: Path, wheels: Path | None) -> None:
    """Install into ``work/target`` with pip, or uv where pip is missing."""
    listed = wish.file
    if wish.is_exported:
        listed = work / "requirements.txt"
        listed.write_text(wish.text, encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - pip or uv
        [*_installer_command(listed, platform, work / "target"), *(["--find-links", str(wheels)] if wheels else [])],
        cwd=wish.file.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return
    words = done.stderr
    where = f"{wish.file.name} for {platform}"
    missing = re.search(r"No matching distribution found for (\S+)|no (?:compatible )?wheel", words)
    if missing:
        found = f"there is no wheel of {missing[1] or 'a package'} ({_last_words(words)})"
        fix = "Check its name and version; if it has to be compiled, build with --docker, or put a wheel of it into"
        raise WheelMissingError(Finding(where, found, f"{fix} a folder that PIP_FIND_LINKS names"))
    changed = re.search(r"HASHES[\s\S]*?\n\s*(\S+)(?: \([^)]*\))? from", words)
    if changed:
        found = f"the file of {changed[1]} has another hash than it says"
        raise TargetError(Finding(where, found, "Lock again, and find out why they differ"))
    raise TargetError(Finding(where, f"cannot be installed: {_last_words(words)}", "Mend the file, or try again"))


def _installer_command(listed: Path, platform: Platform, target: Path) -> list[str]:
    if importlib.util.find_spec("pip"):
        tags = [word for tag in platform.wheel_tags for word in ("--platform", tag)]
        return [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"),
            *("--no-compile", "--only-binary=:all:", "--implementation=cp", f"--python-version={platform.python}"),
            *("--no-warn-conflicts", "--root-user-action=ignore", f"--target={target}", *tags, "-r", str(listed)),
        ]
    uv = shutil.which("uv")
    if uv is None:
        raise ConfigError(Finding(listed.name, "there is neither pip nor uv", "Run: python -m ensurepip"))
    libc = "unknown-linux-musl" if platform.is_musl else f"manylinux_2_{_NEWEST_GLIBC}"
    return [
        *(uv, "pip", "install", "--quiet", "--only-binary=:all:", f"--python-version={platform.python}"),
        *(f"--python-platform={_MACHINES.get(platform.machine, platform.machine)}-{libc}", f"--target={target}"),
        *("-r", str(listed)),
    ]


def _last_words(text: str) -> str:
    lines = [line.strip().removeprefix("ERROR: ") for line in text.splitlines() if line.strip()]
    told = [line for line in lines if "notice" not in line and not line.startswith("WARNING")] or ["it says nothing"]
    return " ".join(told[-2:])[:400].rstrip(".")


def _make_relocatable(target: Path) -> None:
    """Take this machine out of what pip wrote: its Python in scripts, its folders in metadata."""
    scripts = [file for file in (target / "bin").glob("*") if file.is_file()] if (target / "bin").is_dir() else []
    for script in scripts:
        data = script.read_bytes()
        if data.startswith(b"#!") and b"python" in data.split(b"\n", 1)[0]:
            script.write_bytes(_ANY_PATH.sub(b"#!/usr/bin/env python3\n", data))
    for name in _NOTES:
        for note in target.glob(name):
            note.unlink()
    for record in target.glob("*.dist-info/RECORD"):
        _mend_record(record)


def _mend_record(record: Path) -> None:
    """Write the hashes again of files that were changed, and leave out those that are gone."""
    site = record.parent.parent
    rows: list[tuple[str, str, str]] = []
    for name, told_hash, size in csv.reader(io.StringIO(record.read_text(encoding="utf-8"))):
        # pip lists scripts as beside the packages, ``--target`` puts them below.
        file = site / name.removeprefix("../../")
        if not told_hash:
            rows += [(name, told_hash, size)] if file == record else []
        elif file.is_file():
            data = file.read_bytes()
            packed = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append((name, f"sha256={packed}", str(len(data))))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(sorted(rows))
    record.write_text(text.getvalue(), encoding="utf-8")


def _compile(target: Path, platform: Platform) -> None:
    """Compile the packages if this Python's modules fit; the image then starts seconds sooner.

    The compiled modules trust their sources without looking (PEP 552): no time of this machine is in them.
    """
    if platform.python != f"{sys.version_info.major}.{sys.version_info.minor}":
        return
    subprocess.run(  # noqa: S603 - this Python. Packages hold modules that do not compile, on purpose: no check
        [
            *(sys.executable, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(target), "-p", f"/{PACKAGES}", str(target)),
        ],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )


def _fill(archive: LayerArchive, target: Path) -> None:
    for file in sorted(target.rglob("*")):
        place = f"{PACKAGES}/{file.relative_to(target).as_posix()}"
        if file.is_symlink():
            archive.add_link(place, str(file.readlink()))
        elif file.is_file():
            archive.add_file(place, file, is_executable=bool(file.stat().st_mode & 0o100))
