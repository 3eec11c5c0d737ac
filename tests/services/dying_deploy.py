"""A deploy whose process is killed at one line of its journal: ``dying_deploy.py FOLDER WHAT STEP STATE WHEN``.

With WHEN ``before`` the step is done and nothing tells so, with ``after`` the line is written and nothing more. STEP
``-`` is no kill; WHAT is ``deploy``, ``resume``, which goes on with the deploy that did not end, or ``rollback``, which
goes back. Tests of the release are left out: they change nothing on the target.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from pymacaron.config import PymConfig, load_config
from pymacaron.deploy.actions import ACTIONS
from pymacaron.deploy.docker import DockerTarget
from pymacaron.deploy.folder_shelf import FolderShelf
from pymacaron.deploy.journal import PREFIX
from pymacaron.deploy.pipeline import Pipeline
from pymacaron.deploy.release import Deploy
from pymacaron.deploy.steps import Step
from pymacaron.deploy.wishes import Wishes
from pymacaron.json_types import JsonObject

_LEFT_OUT = ("documents", "unit-tests", "local", "tests", "contract")


class DyingShelf(FolderShelf):
    """Kills this process at one line."""

    def __init__(self, folder: Path, at: tuple[str, ...]) -> None:
        """Take where it lies, and *at* which step, state, before or after the line."""
        super().__init__(folder)
        self._at = at

    def put(self, key: str, data: bytes, tag: str | None) -> str:
        """Write as ever, but for the one line."""
        line = json.loads(data.splitlines()[-1]) if key.startswith(PREFIX) else {}
        is_it = (line.get("step"), line.get("state")) == self._at[:2]
        if is_it and self._at[2] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        written = super().put(key, data, tag)
        if is_it:
            os.kill(os.getpid(), signal.SIGKILL)
        return written


class DyingTarget(DockerTarget):
    """The docker target with such a shelf."""

    def __init__(self, config: PymConfig, at: tuple[str, ...]) -> None:
        """Take the configuration, and where to die."""
        super().__init__(config)
        self._at = at

    def shelf(self) -> DyingShelf:
        """Return the shelf that kills."""
        return DyingShelf(self._folder / "shelf", self._at)


def _leave_out(_deploy: Deploy, _step: Step) -> JsonObject:
    return {}


def main(folder: Path, what: str, at: tuple[str, ...]) -> None:
    """Deploy, go on or go back."""
    config = load_config(folder)
    pipeline = Pipeline(config, DyingTarget(config, at), folder, lambda line: print(line, flush=True))  # noqa: T201
    with pipeline.holding():
        if what == "rollback":
            pipeline.resume().roll_back("rollback was asked for")
            return
        deploy = pipeline.resume() if what == "resume" else pipeline.start(Wishes(is_ungated=True))
        deploy.actions = {**ACTIONS, **dict.fromkeys(_LEFT_OUT, _leave_out)}
        if deploy.run() != "live":
            sys.exit(str(deploy.journal.facts.get("reason")))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], tuple(sys.argv[3:]))
