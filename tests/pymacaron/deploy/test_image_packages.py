"""Packages of images: real pip, and wheels that are made here."""

from __future__ import annotations

import hashlib
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from pymacaron.deploy.image_packages import Packages, Platform, WheelMissingError, install_packages, read_wish
from pymacaron.exceptions import ConfigError, TargetError

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
HERE = Platform(PYTHON)


def write_wheel(folder: Path, name: str, *, version: str = "1.0", tag: str = "py3-none-any") -> Path:
    """Write a wheel with one module and one script."""
    file = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(f"{name}.py", "def main() -> None:\n    print('hello')\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{info}/entry_points.txt", f"[console_scripts]\n{name} = {name}:main\n")
        wheel.writestr(f"{info}/RECORD", "")
    return file


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that pip takes wheels from, and nothing from elsewhere; with a cache of its own."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for name in [name for name in os.environ if name.startswith("COVERAGE_PROCESS_")]:
        monkeypatch.delenv(name)  # what of pip is reached is nobody's question, and slow to ask
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def install(folder: Path, platform: Platform = HERE) -> Packages:
    return install_packages(read_wish(folder), platform)


def list_layer(packages: Packages) -> list[str]:
    assert packages.layer
    assert packages.layer.blob.file
    with tarfile.open(packages.layer.blob.file) as archive:
        return [entry.name for entry in archive if entry.isfile()]


def test_same_packages_give_the_same_layer(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine, the folder or the time is in the layer: installed again elsewhere, it is the same."""
    write_wheel(wheels, "greeting")
    (tmp_path / "requirements.txt").write_text("greeting\n")
    first = install(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another-cache"))
    again = install(tmp_path)

    assert first.layer
    assert again.layer
    assert again.layer.blob.file != first.layer.blob.file
    assert again.layer.blob.digest == first.layer.blob.digest
    assert first.installed == {"greeting": "1.0"}
    cached = f"opt/pymacaron/__pycache__/greeting.{sys.implementation.cache_tag}.pyc"
    assert {"opt/pymacaron/greeting.py", "opt/pymacaron/bin/greeting", cached} <= set(list_layer(first))
    with tarfile.open(first.layer.blob.file or "") as archive:
        script = archive.extractfile("opt/pymacaron/bin/greeting")
        assert script
        assert script.readline() == b"#!/usr/bin/env python3\n"


def test_packages_are_installed_once(tmp_path: Path, wheels: Path) -> None:
    """What was installed is used again, until the requirements, a wheel or the wish for news changes."""
    write_wheel(wheels, "greeting")
    (tmp_path / "requirements.txt").write_text("greeting\n")
    first = install(tmp_path)
    for wheel in wheels.iterdir():
        wheel.rename(tmp_path / wheel.name)
    (wheels / "greeting-1.0-py3-none-any.whl").hardlink_to(tmp_path / "greeting-1.0-py3-none-any.whl")
    assert install(tmp_path) == first

    write_wheel(wheels, "greeting", version="2.0")
    assert install(tmp_path).installed == {"greeting": "2.0"}


def test_wheels_fit_the_image_not_this_machine(tmp_path: Path, wheels: Path) -> None:
    """Each platform gets its own wheels, wherever the image is built."""
    write_wheel(wheels, "greeting", version="1.0", tag="py3-none-manylinux_2_28_aarch64")
    write_wheel(wheels, "greeting", version="2.0", tag="py3-none-musllinux_1_2_x86_64")
    write_wheel(wheels, "greeting", version="3.0", tag="py3-none-win_amd64")
    (tmp_path / "requirements.txt").write_text("greeting\n")

    assert install(tmp_path, Platform(PYTHON, "arm64")).installed == {"greeting": "1.0"}
    assert install(tmp_path, Platform(PYTHON, "amd64", is_musl=True)).installed == {"greeting": "2.0"}
    with pytest.raises(WheelMissingError) as raised:
        install(tmp_path, Platform(PYTHON, "amd64"))
    assert str(raised.value) == (
        f"requirements.txt for Python {PYTHON} on linux/amd64: there is no wheel of greeting (Could not find a version "
        "that satisfies the requirement greeting (from versions: none) No matching distribution found for greeting). "
        "Check its name and version; if it has to be compiled, build with --docker, or put a wheel of it into a folder "
        "that PIP_FIND_LINKS names."
    )


def test_lock_file_goes_before_requirements(tmp_path: Path, wheels: Path) -> None:
    """pylock.toml says version and hash, and a wheel with another hash is refused."""
    wheel = write_wheel(wheels, "greeting")
    write_wheel(wheels, "greeting", version="2.0")
    (tmp_path / "requirements.txt").write_text("greeting\n")
    lock = tmp_path / "pylock.toml"
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    locked = """lock-version = "1.0"
created-by = "a test"
[[packages]]
name = "greeting"
version = "1.0"
wheels = [{{ name = "greeting-1.0-py3-none-any.whl", hashes = {{ sha256 = "{}" }} }}]
[[packages]]
name = "elsewhere"
version = "1.0"
marker = "sys_platform == 'win32'"
wheels = [{{ name = "elsewhere-1.0-py3-none-any.whl", hashes = {{ sha256 = "00" }} }}]
"""
    lock.write_text(locked.format(sha256))
    assert install(tmp_path).installed == {"greeting": "1.0"}

    lock.write_text(locked.format("0" * 64))
    with pytest.raises(TargetError) as raised:
        install(tmp_path)
    assert str(raised.value) == (
        f"pylock.toml for {HERE}: the file of greeting==1.0 has another hash than it says. "
        "Lock again, and find out why they differ."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "-e ../common\n",
            "requirements.txt: -e ../common is a folder of this machine, not a package. "
            "Name its release, or a wheel that --find-links finds.",
            id="editable",
        ),
        pytest.param(
            "-r more.txt\n",
            "{folder}/more.txt: there is no such file. Mend the line that includes it.",
            id="include",
        ),
        pytest.param(
            "-r requirements.txt\n",
            "{folder}/requirements.txt: it includes itself, by way of others. Leave one of these lines out.",
            id="circle",
        ),
    ],
)
def test_says_what_cannot_be_installed(text: str, message: str, tmp_path: Path, wheels: Path) -> None:
    """Requirements that mean something on this machine only are refused."""
    assert not list(wheels.iterdir())
    (tmp_path / "requirements.txt").write_text(text)
    with pytest.raises(ConfigError) as raised:
        install(tmp_path)
    assert str(raised.value) == message.format(folder=tmp_path)
