"""A change of a service's files runs the tests again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pymacaron_testing.watch import list_changes, take_snapshot

PROGRAM = """
import sys
from pathlib import Path
from pymacaron_testing.watch import watch
run = "import time; open('runs', 'a').write('x'); time.sleep(float(open('pause.cfg').read()))"
try:
    watch([sys.executable, "-c", run], Path.cwd(), lambda line: print(line, flush=True))
except KeyboardInterrupt:
    print("over", flush=True)
"""


def test_snapshot(tmp_path: Path) -> None:
    """Files that a service is made of count, those that tools write do not."""
    for name in ("a.py", "apis/b.yaml", "__pycache__/c.py", ".git/d.py", "e.pyc", "report.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    before = take_snapshot(tmp_path, but=frozenset({"report.json"}))
    assert sorted(os.path.relpath(path, tmp_path) for path in before) == ["a.py", "apis/b.yaml"]
    (tmp_path / "a.py").write_text("12")
    (tmp_path / "apis" / "b.yaml").unlink()
    (tmp_path / "new.py").write_text("")
    after = take_snapshot(tmp_path, but=frozenset({"report.json"}))
    assert [Path(path).name for path in list_changes(before, after)] == ["a.py", "b.yaml", "new.py"]
    assert list_changes(after, after) == []


def wait_for(path: Path, length: int) -> None:
    deadline = time.monotonic() + 20
    while not path.exists() or len(path.read_text()) < length:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_watch(tmp_path: Path) -> None:
    """The command runs at once, after a change, and anew where a change comes during a run; Ctrl-C ends it all."""
    (tmp_path / "pause.cfg").write_text("0")
    (tmp_path / "a.py").write_text("1")
    runs = tmp_path / "runs"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, stdout=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting for a change of the service's files; Ctrl-C ends\n"
        (tmp_path / "pause.cfg").write_text("600")
        assert process.stdout.readline() == "pause.cfg changed\n"
        wait_for(runs, 2)
        (tmp_path / "a.py").write_text("12")
        assert process.stdout.readline() == "a.py changed\n"
        wait_for(runs, 3)
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "over\n"
    assert runs.read_text() == "xxx"
