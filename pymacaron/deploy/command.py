"""``pymacaron deploy``, ``rollback`` and ``releases``."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType

import click

from pymacaron.config import load_config
from pymacaron.deploy.gates import find_gate
from pymacaron.deploy.image_source import find_configured_environment
from pymacaron.deploy.lock import LockedError
from pymacaron.deploy.old_names import run_alone
from pymacaron.deploy.pipeline import Pipeline, Status
from pymacaron.deploy.release import Deploy, WayBackError
from pymacaron.deploy.steps import is_return
from pymacaron.deploy.target import TARGETS, ShelfConflict, find_target
from pymacaron.deploy.wishes import Wishes

_FAILED, _INTERRUPTED = 1, 130

_folder = click.option(
    "--folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path(), help="The service's."
)
_env = click.option("--env", default=None, help="Default: PYM_ENV, else prod or live, what has a pym-config.")
_target = click.option("--target", type=click.Choice(TARGETS), default=None, help="Default: deploy_target.")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command(short_help="Bring this folder's service from commit to live, or back.")
@_folder
@_env
@_target
@click.option("--image", default="", metavar="REPOSITORY@sha256:…", help="Deploy this image instead of building one.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.option("--resume", is_flag=True, help="Go on with a deploy that was interrupted, here or elsewhere.")
@click.option("--keep-failed", is_flag=True, help="Leave a failed candidate where it is, at no traffic.")
@click.option("--no-gate", is_flag=True, help="Let tests alone decide.")
@click.option("--allow-breaking", is_flag=True, help="Deploy though the documents break their clients.")
@_yes
def deploy(  # noqa: PLR0913 - one argument an option
    *,
    folder: Path,
    env: str | None,
    target: str | None,
    image: str,
    dry_run: bool,
    resume: bool,
    keep_failed: bool,
    no_gate: bool,
    allow_breaking: bool,
    yes: bool,
) -> None:
    """Build, test, stage, judge and promote the service in this folder, or lead back.

    Exit code: 0 it is live, 1 it is not, and the release that was there is, 2 bad input, 130 interrupted.
    """
    wishes = Wishes(image, is_kept=keep_failed, is_ungated=no_gate, is_breaking_allowed=allow_breaking)
    if resume and wishes != Wishes():
        raise click.UsageError("--resume goes on as the deploy was begun: leave the other options out.")
    pipeline = _open(folder, env, target)
    if not no_gate and not resume:
        find_gate()  # before anything is planned
    for line in pipeline.describe_rest() if resume else pipeline.describe(wishes):
        click.echo(line)
    if dry_run:
        return
    if sys.stdin.isatty() and not yes:
        click.confirm("Go?", abort=True)
    with leading(pipeline):
        prepared = pipeline.resume() if resume else pipeline.start(wishes)
        if not prepared.wishes.is_ungated and not is_return(step.name for step in prepared.steps):
            find_gate()
        finish(prepared)


@click.command(short_help="Give the traffic back to an earlier release.")
@_folder
@_env
@_target
@_yes
@click.argument("version", required=False)
def rollback(*, folder: Path, env: str | None, target: str | None, yes: bool, version: str | None) -> None:
    """Lead a deploy that is not finished back, else return to VERSION, by default the release before the live one."""
    pipeline = _open(folder, env, target)
    if sys.stdin.isatty() and not yes:
        click.confirm("Give the traffic back?", abort=True)
    with leading(pipeline):
        unfinished = pipeline.find_unfinished()
        if unfinished and version is None:
            if not go_back(unfinished, "rollback was asked for"):
                sys.exit(_FAILED)
        else:
            finish(pipeline.return_to(version))


@click.command(short_help="List what was deployed.")
@_folder
@_env
@_target
@click.option("--json", "is_json", is_flag=True, help="As JSON.")
def releases(*, folder: Path, env: str | None, target: str | None, is_json: bool) -> None:
    """List all deploys of this service, the latest first, and what has traffic now."""
    statuses = _open(folder, env, target).list()
    if is_json:
        click.echo(json.dumps([status.to_json() for status in statuses], indent=2))
        return
    for status in statuses:
        click.echo(_describe(status))
    if not statuses:
        click.echo("Nothing was deployed yet.")


def run_pymdeploy() -> None:
    """Run ``pymdeploy``, as the command was called in pymacaron 2."""
    run_alone(deploy, "pymdeploy")


def _open(folder: Path, env: str | None, target: str | None) -> Pipeline:
    folder = folder.resolve()
    env = env or os.environ.get("PYM_ENV") or find_configured_environment(folder)  # as the image has it
    config = load_config(folder, env=env, needs_secrets=False)
    return Pipeline(config, find_target(config, target), folder, _tell)


@contextmanager
def leading(pipeline: Pipeline) -> Iterator[None]:
    """Hold the lock for as long as the block, and hear TERM as Ctrl-C. Exit code 1, with the reason, if it is lost."""
    handler = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with pipeline.holding():
            yield
    except (LockedError, ShelfConflict, WayBackError) as error:
        click.echo(f"{error}", err=True)
        sys.exit(_FAILED)
    finally:
        signal.signal(signal.SIGTERM, handler)


def finish(prepared: Deploy) -> None:
    """Run the deploy and say what came of it. Ends with exit code 1 if it is not live, 130 if it was interrupted."""
    try:
        outcome = prepared.run()
    except KeyboardInterrupt:
        _end_interrupted(prepared)
        sys.exit(_INTERRUPTED)
    if outcome == "live":
        click.echo(f"{prepared.release.version} is live at {prepared.target.live_url}")
        return
    click.echo(f"Not deployed, {outcome}. {prepared.journal.facts.get('reason', '')}", err=True)
    sys.exit(_FAILED)


def go_back(prepared: Deploy, reason: str) -> bool:
    """Lead the deploy back and say who has the traffic; False if it is a first one, which keeps what it has."""
    with _unheard():
        prepared.roll_back(reason)
    if prepared.baseline is None and prepared.is_shifted:
        click.echo(f"{prepared.release.version} keeps the traffic, as the first release", err=True)
        return False
    click.echo(f"Back at {prepared.baseline or 'no release'}", err=True)
    return True


def _end_interrupted(prepared: Deploy) -> None:
    """Go back, unless somebody at the terminal would rather go on later."""
    click.echo("\nInterrupted.", err=True)
    with _unheard():
        if sys.stdin.isatty() and not click.confirm("Go back to the release that was there?", default=True):
            click.echo("Left as it is: 'pymacaron deploy --resume' goes on, 'pymacaron rollback' goes back.", err=True)
            return
        go_back(prepared, "interrupted")


@contextmanager
def _unheard() -> Iterator[None]:
    """Do not let Ctrl-C end the way back halfway."""
    handlers = [(number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in handlers:
            signal.signal(number, handler)


def _describe(status: Status) -> str:
    share = f"{status.share} %" if status.share is not None else ""
    reason = f"  {status.reason}" if status.reason else ""
    return (
        f"{status.started:%Y-%m-%d %H:%M:%S}  {status.version:28}  {status.outcome:11}  {share:5}  {status.by}{reason}"
    )


def _tell(line: str) -> None:
    click.echo(f"{datetime.now().astimezone():%H:%M:%S}  {line}")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
