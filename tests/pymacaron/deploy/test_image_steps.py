"""The image on its way through a deploy: built, tested here, and only then in the registry."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from images import Registry, base_image, require_engine
from noted_target import NotedTarget, simplify
from pymacaron.config import load_config
from pymacaron.deploy.actions import ACTIONS
from pymacaron.deploy.engine import run_docker
from pymacaron.deploy.image_steps import do_push, giving_image
from pymacaron.deploy.pipeline import Pipeline
from pymacaron.deploy.release import Deploy, StepError
from pymacaron.deploy.steps import Step
from pymacaron.deploy.wishes import Wishes
from pymacaron.json_types import JsonObject
from target_suite import write_marked_service

PUSH = Step("push", "push it")


@dataclass(slots=True)
class Yard:
    """A service in *folder*, whose images go to a repository of its own. told: what deploys told."""

    folder: Path
    registry: Registry
    target: NotedTarget
    told: list[str] = field(default_factory=list)

    def prepare(self) -> Deploy:
        """Return a new deploy, without its tests."""
        pipeline = Pipeline(load_config(self.folder), self.target, self.folder, self.told.append)
        return simplify(pipeline.start(Wishes(is_ungated=True)))

    def list_tags(self) -> list[str]:
        """Return the tags that the registry has of the service."""
        root = f"http://{self.registry.host}/v2/{self.folder.parent.name}/marked"
        tags: list[str] = requests.get(f"{root}/tags/list", timeout=30).json().get("tags") or []
        return tags


@pytest.fixture
def yard(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Yard:
    """Write the service, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = write_marked_service(tmp_path / "marked", "one")
    (folder / "requirements.txt").write_text("# all in the base\n")
    with (folder / "pym-config.yaml").open("a") as file:
        file.write(f"docker_repo: {registry.host}/{tmp_path.name}\ndocker_base: {base_image(registry)}\n")
    return Yard(folder, registry, NotedTarget(tmp_path / "state"))


def refuse(_: Deploy, step: Step) -> JsonObject:
    raise StepError(step.name, "a promise was broken")


def test_only_what_was_tested_is_pushed(yard: Yard) -> None:
    """A release that fails its tests here leaves nothing in the registry; the next one is there by its digest."""
    failing = yard.prepare()
    failing.actions["local"] = refuse
    assert failing.run() == "failed"
    assert yard.list_tags() == []

    deploy = yard.prepare()
    assert deploy.run() == "live"
    assert deploy.release.image.partition("@")[2] == deploy.journal.facts["built"]["digest"]
    assert yard.list_tags() == [deploy.release.version]
    assert [placed.release for placed in yard.target.current()] == [deploy.release]


def test_another_machine_pushes_the_same_image_or_none(yard: Yard) -> None:
    """Where the image is not at hand it is built again; what then differs is not what was tested."""
    deploy = yard.prepare()
    built = deploy.actions["image"](deploy, Step("image", "build it"))
    deploy.journal.write("image", "done", built)
    cache = yard.folder.parent / "cache"
    shutil.rmtree(cache)
    assert do_push(deploy, PUSH)["release"]["image"].endswith(built["built"]["digest"])

    shutil.rmtree(cache)
    (yard.folder / "mark.txt").write_text("two")
    with pytest.raises(StepError) as caught:
        do_push(deploy, PUSH)
    version = built["built"]["version"]
    assert caught.value.reason == f"the image {version} is not here, and building it in this folder gives another one"


def test_a_deploy_that_was_begun_without_the_step_pushes_at_once(yard: Yard) -> None:
    """Journals of before go on as they were begun."""
    deploy = yard.prepare()
    deploy.steps = tuple(step for step in deploy.steps if step.name != "push")
    assert deploy.run() == "live"
    assert yard.list_tags() == [deploy.release.version]


@pytest.mark.unmeasured
def test_a_copy_that_breaks_a_promise_shows_its_log(yard: Yard) -> None:
    """It is run from what was built, not from the registry; what it wrote is told beside the failure."""
    require_engine()
    server = yard.folder / "server.py"
    server.write_text(server.read_text().replace("    return MARK", '    raise RuntimeError("told to fail")'))
    deploy = yard.prepare()
    deploy.actions["local"] = ACTIONS["local"]
    assert deploy.run() == "failed"
    assert deploy.journal.facts["reason"].startswith("local: "), yard.told
    assert any(line.startswith("  | ") and "told to fail" in line for line in yard.told), yard.told
    assert yard.list_tags() == []


@pytest.mark.unmeasured
def test_an_image_that_docker_builds_is_pushed_after_its_tests(yard: Yard) -> None:
    """Its digest is known only then; until then the engine's own name says that it is the one that was tested."""
    require_engine()
    (yard.folder / "Dockerfile.extra").write_text("RUN echo more > /more\n")
    deploy = yard.prepare()
    seen = []

    def look(deploy: Deploy, step: Step) -> JsonObject:
        with giving_image(deploy, step) as image:
            seen.append((run_docker("run", "--rm", "--entrypoint", "cat", image, "/more"), yard.list_tags()))
        return {}

    deploy.actions["local"] = look
    try:
        assert deploy.run() == "live"
        assert seen == [("more\n", [])]
        assert yard.list_tags() == [deploy.release.version]
    finally:
        name = f"{yard.registry.host}/{yard.folder.parent.name}/marked:{deploy.journal.version}"
        run_docker("image", "rm", "--force", name)
