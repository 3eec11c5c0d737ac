"""What is built is what users install."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_wheel_works_outside_of_the_repository(tmp_path: Path) -> None:
    """The wheel holds the three packages with their data, and its commands write a service."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {
        "pymacaron",
        "pymacaron_testing",
        "pymacaron_monitoring",
    }
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    site = Path(
        subprocess.check_output([python, "-c", "import site; print(site.getsitepackages()[0])"], text=True).strip()
    )
    zipfile.ZipFile(wheel).extractall(site)
    # The dependencies are the ones of this environment; pymacaron itself must come from the wheel.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    run = "from pymacaron.cli import main; main(prog_name='pymacaron')"
    code = f"import pymacaron, sys; assert {str(site)!r} in pymacaron.__file__, pymacaron.__file__; {run}"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for arguments in (["--version"], ["new", "shop"]):
        command = [str(python), "-c", code, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "shop" / "apis").is_dir()
