"""What each step of a deploy does."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pymacaron.deploy import engine
from pymacaron.deploy.gates import Gate, Judgement, find_gate
from pymacaron.deploy.image_steps import PUSH, do_image, do_push, giving_image
from pymacaron.deploy.local_copy import choose_local_profile, find_local_secrets, run_locally
from pymacaron.deploy.release import Actions, Deploy, StepError
from pymacaron.deploy.steps import SHIFT, Step
from pymacaron.deploy.target import Placed
from pymacaron.deploy.trial import (
    Examiner,
    Trial,
    find_unit_tests,
    read_own_documents,
)
from pymacaron.deploy.watch import LOOKS_A_STEP, Side, Watch
from pymacaron.diff import Change, compare
from pymacaron.exceptions import StartupError
from pymacaron.json_types import JsonObject
from pymacaron.published import fetch_all_documents
from pymacaron.spec import Api

REPORT, LOCAL_REPORT = "report.json", "local.json"
_PASSED = 0
_ALL = 100
_NOTHING_COLLECTED = 5
_LOG_LINES = 20


def do_unit_tests(deploy: Deploy, step: Step) -> JsonObject:
    """Run the tests that need no running service."""
    tests = find_unit_tests(deploy.folder)
    if tests is None:
        deploy.tell("no folder tests or test: nothing to run")
        return {}
    trial = Examiner(deploy.folder, deploy.config.deploy_test_time).run_unit_tests(tests)
    if trial.exit_code not in {_PASSED, _NOTHING_COLLECTED}:
        raise StepError(step.name, f"pytest {tests.name} ends with exit code {trial.exit_code}", trial.lines)
    return {}


def do_local(deploy: Deploy, step: Step) -> JsonObject:
    """Run the image here, test it, and remove it; without a Docker engine say that this is left out."""
    if not engine.is_there():
        deploy.tell("no Docker engine here: the image is tested on the target only")
        return {}
    profile = choose_local_profile(deploy.config)
    examiner = _make_examiner(deploy, find_local_secrets(deploy.config).given)
    version = str(deploy.journal.version)
    with giving_image(deploy, step) as image, run_locally(deploy.config, version, image) as (url, name):
        try:
            report = deploy.work_folder / LOCAL_REPORT
            return _judge_copy(deploy, step, examiner.run_contract_tests(url, report, f"--pymacaron-profile={profile}"))
        except StartupError:
            with contextlib.suppress(StartupError):
                deploy.show(engine.read_logs(name, _LOG_LINES))
            raise


def _judge_copy(deploy: Deploy, step: Step, trial: Trial) -> JsonObject:
    """Raise StepError if the copy failed its tests or its gate; too little to decide is no failure yet."""
    _refuse_failed(step, trial)
    gate = _find_gate(deploy)
    if gate is None or trial.report is None:
        return {}
    verdict = gate.judge(trial.report)
    deploy.tell(verdict.tell())
    if verdict.outcome == "fail":
        raise StepError(step.name, verdict.tell())
    return {"is_shown_locally": verdict.outcome == "pass"}


def _make_examiner(deploy: Deploy, secrets: Mapping[str, str] | None = None) -> Examiner:
    """Return who tests a release: by the configuration that it runs with, and the *secrets* of a copy."""
    environment = {"PYM_ENV": deploy.config.env} if deploy.config.env else {}
    return Examiner(deploy.folder, deploy.config.deploy_test_time, {**environment, **(secrets or {})})


def do_stage(deploy: Deploy, _: Step) -> JsonObject:
    """Start the release at no traffic."""
    placed = deploy.target.stage(deploy.release)
    deploy.tell(f"{placed.release.version} answers at {placed.url}")
    return {"url": placed.url}


def do_tests(deploy: Deploy, step: Step) -> JsonObject:
    """Run the tests against the candidate, beside the running release where there is one, and ask the gate.

    What was counted meanwhile is asked of the target, which knows of all instances: the tests saw pages of any of them.
    """
    version, gate = deploy.release.version, _find_gate(deploy)
    placed = _find_placed(deploy, version)
    running = _find_running(deploy)
    options = [f"--pymacaron-profile={deploy.config.deploy_profile}"]
    if running:
        options.append(f"--pymacaron-baseline={running.url}")
    report = deploy.work_folder / REPORT
    before = deploy.target.metrics(version) if gate else ""
    trial = _make_examiner(deploy).run_contract_tests(placed.url, report, *options)
    if gate is None:
        _refuse_failed(step, trial)
        return {}
    if trial.report is None:
        raise StepError(step.name, f"the tests wrote no report, exit code {trial.exit_code}", trial.lines)
    deploy.target.check(version)
    page = deploy.target.metrics(version)
    judged = {**trial.report, "metrics": {"before": before, "after": page}}
    report.write_text(json.dumps(judged), encoding="utf-8")
    verdict = gate.judge(judged, target=placed.url, now=datetime.now(UTC), page=page)
    deploy.tell(verdict.tell())
    if verdict.outcome == "fail" or (verdict.outcome == "undecided" and not _may_wait(deploy, verdict)):
        raise StepError(step.name, verdict.tell(), trial.lines if verdict.outcome == "fail" else ())
    return {"verdict": verdict.tell()}


def _may_wait(deploy: Deploy, verdict: Judgement) -> bool:
    """Tell whether what the tests could not show, for nothing but too few requests, is shown otherwise.

    It is if the tests of the local copy showed it, or if live traffic is still going to, a share at a time. The first
    release has nobody to disappoint.
    """
    if not verdict.is_just_short:
        return False
    will_see_more = any(0 < step.percent < _ALL for step in deploy.steps)
    return will_see_more or deploy.baseline is None or bool(deploy.journal.facts.get("is_shown_locally"))


def do_documents(deploy: Deploy, step: Step) -> JsonObject:
    """Compare the documents in the folder with those that the running release publishes."""
    running = _find_running(deploy)
    if running:
        own = read_own_documents(deploy.config.apis_path)
        _refuse_breaking(deploy, step, _fetch_published(deploy, step, running, own), own)
    return {}


def do_contract(deploy: Deploy, step: Step) -> JsonObject:
    """Run the contract tests of the running release's documents against the candidate."""
    running = _find_running(deploy)
    if running is None:
        return {}
    own = read_own_documents(deploy.config.apis_path)
    published = _fetch_published(deploy, step, running, own)
    candidate = _find_placed(deploy, deploy.release.version)
    now = {api.name: api for api in _fetch_published(deploy, step, candidate, own)}
    _refuse_breaking(deploy, step, published, list(now.values()))
    for old in published:
        new = now.get(old.name)
        if new and old.sha256 != new.sha256 and not _find_breaking(old, new):
            _test_published(deploy, step, old)
    return {"published": [api.name for api in published]}


def _fetch_published(deploy: Deploy, step: Step, placed: Placed, own: Sequence[Api]) -> Sequence[Api]:
    """Return the documents that a release publishes.

    Raises: StepError: one of them cannot be read, so that nobody knows whether clients break, and that is not allowed.
    """
    version, names = placed.release.version, [api.name for api in own]
    found = fetch_all_documents(placed.url, names, deploy.config.deploy_documents_path)
    if found.missing:
        name, why = next(iter(found.missing.items()))
        text = f"{version} publishes no document {name}, {why}: whether clients break is unknown"
        if not deploy.wishes.is_breaking_allowed:
            raise StepError(step.name, text)
        deploy.tell(f"allowed to break clients: {text}")
    return found.apis


def _find_breaking(old: Api, new: Api) -> list[Change]:
    return [change for change in compare(old, new) if change.severity == "breaking"]


def _refuse_breaking(deploy: Deploy, step: Step, before: Sequence[Api], after: Sequence[Api]) -> None:
    """Raise StepError if clients that know the documents *before* break, unless that is allowed."""
    by_name = {api.name: api for api in after}
    found = []
    for old in before:
        if old.name not in by_name:
            found.append(f"the document {old.name}, which {deploy.baseline} publishes, is gone")
        else:
            found += [change.sentence for change in _find_breaking(old, by_name[old.name])]
    if not found:
        return
    text = found[0] + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")
    if not deploy.wishes.is_breaking_allowed:
        raise StepError(step.name, text)
    deploy.tell(f"allowed to break clients: {text}")


def _test_published(deploy: Deploy, step: Step, old: Api) -> None:
    """Run the contract tests that the running release's document makes, against the candidate."""
    file = deploy.work_folder / "published" / f"{old.name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(old.text, encoding="utf-8")
    placed = _find_placed(deploy, deploy.release.version)
    options = (f"--pymacaron-profile={deploy.config.deploy_profile}", f"--pymacaron-spec={file}", "-k", "contract")
    report = file.with_suffix(".json")
    trial = _make_examiner(deploy).run_contract_tests(placed.url, report, *options)
    _refuse_failed(step, trial)


def do_shift(deploy: Deploy, step: Step) -> JsonObject:
    """Give the candidate its share, and watch until the gate has decided."""
    version = deploy.release.version
    deploy.target.shift(version, deploy.baseline, step.percent)
    if deploy.baseline is None or not any(one.name == "bake" for one in deploy.steps):
        return {}
    is_whole = step.percent == _ALL
    verdict = _watch(deploy, deploy.config.deploy_step_time, is_compared=not is_whole)
    if verdict.outcome != "pass" and not is_whole:
        text = verdict.tell()
        if verdict.outcome == "undecided":
            text += f"; nothing was decided within {deploy.config.deploy_decision_time} s"
        raise StepError(step.name, text)
    if verdict.outcome == "fail":
        raise StepError(step.name, verdict.tell())
    return {"verdict": verdict.tell()}


def do_bake(deploy: Deploy, step: Step) -> JsonObject:
    """Watch the candidate with all traffic: a reason to go back is looked for, too little traffic is none."""
    verdict = _watch(deploy, deploy.config.deploy_bake_time, is_compared=False)
    if verdict.outcome == "fail":
        raise StepError(step.name, verdict.tell())
    return {"verdict": verdict.tell()}


def do_retire(deploy: Deploy, step: Step) -> JsonObject:
    """Remove the release that was there, and what earlier deploys could not remove.

    The new one was judged and is live: that something is left over is told and is no reason to go back, unless the
    old release has traffic.
    """
    before = deploy.journal.facts.get("left", ())
    wanted = dict.fromkeys(str(one) for one in (deploy.baseline, *before) if one and one != deploy.release.version)
    left = deploy.retire(wanted)
    if deploy.baseline in left and _has_traffic(deploy, deploy.baseline):
        raise StepError(step.name, f"{deploy.baseline} has traffic again")
    return {"left": left}


def _has_traffic(deploy: Deploy, version: str | None) -> bool:
    with contextlib.suppress(StartupError):
        return any(placed.share for placed in deploy.target.current() if placed.release.version == version)
    return False


ACTIONS: Actions = {
    "documents": do_documents,
    "unit-tests": do_unit_tests,
    "image": do_image,
    "local": do_local,
    PUSH: do_push,
    "stage": do_stage,
    "tests": do_tests,
    "contract": do_contract,
    SHIFT: do_shift,
    "bake": do_bake,
    "retire": do_retire,
}


def _watch(deploy: Deploy, time_s: float, *, is_compared: bool) -> Judgement:
    running = _find_running(deploy) if is_compared else None
    placed = _find_placed(deploy, deploy.release.version)
    shifts = sum(1 for step in deploy.steps if step.percent)
    return Watch(
        target=deploy.target,
        gate=_find_gate(deploy),
        candidate=Side(placed.release.version, placed.url),
        baseline=Side(running.release.version, running.url) if running else None,
        known=deploy.baseline,
        apis=tuple(read_own_documents(deploy.config.apis_path)),
        report=_read_report(deploy),
        time_s=time_s,
        decision_s=deploy.config.deploy_decision_time,
        looks=LOOKS_A_STEP * (shifts + 1),
        must_pass=is_compared,
        use_base_path=deploy.config.use_base_path,
        prometheus=deploy.config.deploy_prometheus,
        select=deploy.config.deploy_select,
        tell=deploy.tell,
    ).run()


def _read_report(deploy: Deploy) -> JsonObject | None:
    """Return the report of the tests that may write, else of the candidate's; None where another machine has it."""
    for name in (LOCAL_REPORT, REPORT):
        file = deploy.work_folder / name
        if file.exists():
            report: JsonObject = json.loads(file.read_text(encoding="utf-8"))
            return report
    return None


def _find_gate(deploy: Deploy) -> Gate | None:
    return None if deploy.wishes.is_ungated else find_gate()


def _find_placed(deploy: Deploy, version: str) -> Placed:
    for placed in deploy.target.current():
        if placed.release.version == version:
            return placed
    raise StepError("current", f"{version} is gone from the target")


def _find_running(deploy: Deploy) -> Placed | None:
    return _find_placed(deploy, deploy.baseline) if deploy.baseline else None


def _refuse_failed(step: Step, trial: Trial) -> None:
    """Raise StepError unless the tests passed."""
    if trial.exit_code == _PASSED:
        return
    reason = trial.find_failure() or f"the tests ended with exit code {trial.exit_code}"
    raise StepError(step.name, reason, trial.lines)
