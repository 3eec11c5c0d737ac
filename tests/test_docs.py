"""README.md and docs/*.md do what they say.

Each page has an empty folder of its own, its blocks run there in order:

- ```yaml and ```python blocks whose first line is a comment with nothing but a path (``# apis/pets.yaml``,
  ``# server.py``) are written to that file; the folder stands in ``sys.path``.
- other ```python blocks run; all of a page share one interpreter and its names.
- other ```yaml blocks, and ```json blocks, must parse.
- in ```console blocks each line that begins with ``$ `` is run by bash; its exit code is 0, or what a comment at its
  end says (``# exit 1``). A line that ends with a backslash goes on in the next one. ``cd DIR`` holds for the rest of
  the page. After a command that ends with ``&`` the service must answer before the page goes on; it is stopped at the
  end of the page. Other lines of the block show output and are not compared. 127.0.0.1:8000 stands for a free port.
- ```text blocks, and blocks of other languages, are only shown.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import yaml

pytestmark = pytest.mark.unmeasured

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND_TIMEOUT_S = 180
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 20
# Contract tests run elsewhere; here it counts that the commands work.
CONTRACT_TESTS = "--pymacaron-profile=quick"
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
_FILE_LINE = re.compile(r"# (?P<path>[\w./-]+\.\w+)\n")
_EXIT = re.compile(r"\s+# exit (?P<code>\d+)$")
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)(?P<path>[^)#\s]+)")
_FOREIGN_SETTINGS = ("PYM_", "PYMACARON_", "PYTEST_", "PROMETHEUS_")
# Runs the code of each line (a JSON string) and answers with a line: null, or the traceback.
_INTERPRETER = """
import json, sys, traceback
lines, answers, sys.stdin, sys.stdout = sys.stdin, sys.stdout, None, sys.stderr
names = {"__name__": "page"}
sys.path.insert(0, "")
for line in lines:
    try:
        exec(compile(json.loads(line), "<page>", "exec"), names)
        answer = None
    except BaseException:
        answer = traceback.format_exc()
    print(json.dumps(answer), file=answers, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. place: ``README.md:12``."""

    language: str
    text: str
    place: str


def read_blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(found["language"], found["text"], f"{page.name}:{text.count(chr(10), 0, found.start()) + 1}")
        for found in _FENCE.finditer(text)
    ]


def read_commands(text: str) -> Iterator[tuple[str, int]]:
    """Yield each command of a console block and its exit code."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            expected = _EXIT.search(line)
            yield _EXIT.sub("", line[2:]), int(expected["code"]) if expected else 0


class PageRunner:
    """Runs the blocks of one page in *folder*."""

    def __init__(self, folder: Path) -> None:
        """Take an empty *folder*."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.folder = folder
        kept = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN_SETTINGS)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**kept, "PATH": path, "PORT": str(self.port), "PYTEST_ADDOPTS": CONTRACT_TESTS}
        self._interpreter: subprocess.Popen[str] | None = None
        self._servers: list[subprocess.Popen[str]] = []

    def run(self, block: Block) -> None:
        """Do what *block* says. Raises AssertionError, or the parser's error, with its place."""
        file = _FILE_LINE.match(block.text)
        if block.language in {"yaml", "python"} and file:
            target = self.folder / file["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
        elif block.language == "python":
            self._run_python(block)
        elif block.language == "yaml":
            list(yaml.safe_load_all(block.text))
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "console":
            for command, code in read_commands(block.text):
                self._run_command(command.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}"), code, block.place)

    def close(self) -> None:
        """Stop everything that was started."""
        for server in self._servers:
            for stop in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.pid, stop)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(STOP_TIMEOUT_S)
                    break
        if self._interpreter:
            self._interpreter.communicate(timeout=STOP_TIMEOUT_S)

    def _run_python(self, block: Block) -> None:
        if self._interpreter is None:
            self._interpreter = subprocess.Popen(
                [sys.executable, "-c", _INTERPRETER],
                cwd=self.folder,
                env=self._environment,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        assert self._interpreter.stdin
        assert self._interpreter.stdout
        self._interpreter.stdin.write(json.dumps(block.text) + "\n")
        self._interpreter.stdin.flush()
        fault = json.loads(self._interpreter.stdout.readline())
        assert fault is None, f"{block.place}: {fault}"

    def _run_command(self, command: str, code: int, place: str) -> None:
        if command.startswith("cd "):
            self.folder /= command.removeprefix("cd ").strip()
            assert self.folder.is_dir(), f"{place}: {command}: there is no such folder"
            return
        is_server = command.rstrip().endswith("&")
        started = subprocess.Popen(
            ["bash", "-c", command.rstrip().rstrip("&") if is_server else command],
            cwd=self.folder,
            env=self._environment,
            text=True,
            stdout=subprocess.DEVNULL if is_server else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if is_server:
            self._servers.append(started)
            self._wait_for_service(f"{place}: {command}")
            return
        try:
            output, _ = started.communicate(timeout=COMMAND_TIMEOUT_S)
        finally:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGKILL)
                started.wait()
        assert started.returncode == code, f"{place}: {command}\n{output}"

    def _wait_for_service(self, what: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._servers[-1].poll() is None:
            try:
                requests.get(f"http://127.0.0.1:{self.port}/ping", timeout=2)
            except requests.RequestException:
                time.sleep(0.1)
            else:
                return
        pytest.fail(f"{what}: the service does not answer on port {self.port}")


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[PageRunner]:
    runner = PageRunner(tmp_path)
    yield runner
    runner.close()


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_blocks_run(page: Path, runner: PageRunner) -> None:
    """Every block of the page does what its kind says."""
    for block in read_blocks(page):
        runner.run(block)


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the repository finds it."""
    missing = [path for path in _LINK.findall(page.read_text()) if not (page.parent / path).exists()]
    assert missing == []


def test_readme_is_short() -> None:
    """The README stays under 120 lines and links every page of docs/."""
    text = (ROOT / "README.md").read_text()
    assert text.count("\n") < 120
    assert [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in text] == []


def test_a_wrong_page_fails(runner: PageRunner, tmp_path: Path) -> None:
    """A page whose code, command or exit code is wrong is found out."""
    for wrong in ("```python\n1 / 0\n```\n", "```console\n$ false\n```\n", "```console\n$ true  # exit 1\n```\n"):
        page = tmp_path / "page.md"
        page.write_text(wrong)
        (block,) = read_blocks(page)
        with pytest.raises(AssertionError, match=r"page\.md:1"):
            runner.run(block)


def test_blocks_of_a_page_share_folder_and_names(runner: PageRunner, tmp_path: Path) -> None:
    """Files, names and commands of one page see each other."""
    page = tmp_path / "page.md"
    page.write_text(
        "```python\n# svc/pets.py\nNAMES = ['Rex']\n```\n```python\nfrom svc.pets import NAMES\n```\n"
        "```python\nNAMES.append('Tom')\nopen('names', 'w').write(' '.join(NAMES))\n```\n"
        "```console\n$ grep -q 'Rex Tom' \\\n    names\nnothing is printed\n$ exit 3  # exit 3\n```\n"
        "```console\n$ cd svc\n$ test -f pets.py\n```\n```text\n1 / 0\n```\n"
    )
    for block in read_blocks(page):
        runner.run(block)
