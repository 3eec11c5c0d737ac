"""How long an image takes without Docker: the first one, the same again, and after a change of the code.

Needs docker-registry. Run: python tests/benchmarks/image.py
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "services"))

import click

from images import base_image, run_registry
from pymacaron.deploy.image import ImageOptions, build
from pymacaron.scaffold import write_service

ROUNDS = 10
_COMMAND = "from pymacaron.cli import main; main(prog_name='pymacaron')"


def main() -> None:
    """Print seconds."""
    with tempfile.TemporaryDirectory() as work, run_registry(Path(work) / "registry") as registry:
        folder = Path(work) / "shop"
        write_service("shop", folder)
        (folder / "requirements.txt").write_text("")
        options = ImageOptions(repository=f"{registry.host}/team/shop", base=base_image(registry))
        begin = time.monotonic()
        first = build(folder, "v0", options)
        click.echo(f"first build and push    {time.monotonic() - begin:6.3f} s")
        begin = time.monotonic()
        assert build(folder, "v0", options) == first
        click.echo(f"the same again          {time.monotonic() - begin:6.3f} s, same digest")
        taken: list[float] = []
        by_command: list[float] = []
        words = ["build", "--push", "--repository", options.repository, "--base", options.base]
        for number in range(1, ROUNDS + 1):
            begin = _change(folder, number)
            build(folder, f"v{number}", options)
            taken.append(time.monotonic() - begin)
            begin = _change(folder, number)
            command = [sys.executable, "-c", _COMMAND, *words, "--version", f"c{number}"]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            by_command.append(time.monotonic() - begin)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        for name, times in (("function", taken), ("command", by_command)):
            median, worst = statistics.median(times), max(times)
            click.echo(f"changed code, {name:8}  {median:6.3f} s median of {ROUNDS}, worst {worst:.3f} s")
        click.echo(f"processor, command      {(used.ru_utime + used.ru_stime) / ROUNDS:6.3f} s mean")


def _change(folder: Path, number: int) -> float:
    """Change the code, and return when that was done."""
    with (folder / "server.py").open("a") as file:
        file.write(f"# {number}\n")
    return time.monotonic()


if __name__ == "__main__":
    main()
