"""What the copy of a release gets that is tested before it goes anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from noted_target import Bench
from pymacaron.config import PymConfig
from pymacaron.deploy.actions import do_local
from pymacaron.deploy.local_copy import describe_copy, find_local_secrets, run_locally
from pymacaron.deploy.steps import Step
from pymacaron.exceptions import ConfigError

SECRETS = ["DATABASE_URL", "JWT_SECRET"]


@pytest.mark.parametrize(
    ("environment", "chosen", "told"),
    [
        pytest.param({"LOCAL_DATABASE_URL": "a", "LOCAL_JWT_SECRET": "b"}, {}, "profile full", id="secrets of its own"),
        pytest.param(
            {"LOCAL_DATABASE_URL": "a", "JWT_SECRET": "b"},
            {},
            "profile live; it gets JWT_SECRET of the release itself",
            id="a secret of the release",
        ),
        pytest.param(
            {"DATABASE_URL": "a", "JWT_SECRET": "b"},
            {"deploy_local_profile": "full"},
            "profile full; it gets DATABASE_URL, JWT_SECRET of the release itself",
            id="as it is told",
        ),
        pytest.param({}, {}, "profile full; it needs LOCAL_DATABASE_URL, LOCAL_JWT_SECRET", id="none"),
    ],
)
def test_no_test_writes_where_the_release_does(
    environment: dict[str, str], chosen: dict[str, object], told: str
) -> None:
    """A copy that may have the release's own database is tested like it, unless the configuration says more."""
    config = PymConfig.model_validate({"env_secrets": SECRETS, **chosen})
    assert describe_copy(config, environment) == told


def test_own_secrets_go_first() -> None:
    """LOCAL_X is the copy's X; what is in neither is missing."""
    environment = {"LOCAL_DATABASE_URL": "mine", "DATABASE_URL": "real", "OTHER": "x", "JWT_SECRET": ""}
    found = find_local_secrets(PymConfig(env_secrets=SECRETS), environment)
    assert (found.given, found.real, found.missing) == ({"DATABASE_URL": "mine"}, (), ("JWT_SECRET",))


def test_a_missing_secret_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would end the copy at its start is told before, with what to do."""
    for name in ("JWT_SECRET", "LOCAL_JWT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    config = PymConfig(name="shop", env_secrets=["JWT_SECRET"])
    with pytest.raises(ConfigError) as caught, run_locally(config, "one", "shop:one"):
        pytest.fail("it was run")
    assert str(caught.value) == (
        "env_secrets: the copy here needs JWT_SECRET. Set LOCAL_JWT_SECRET to a value for tests."
    )


def test_a_docker_command_without_an_engine_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of CI have the command alone: the release is then tested on its target only."""
    bench = Bench(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setenv("PATH", f"{_write_docker(tmp_path)}:{os.environ['PATH']}")
    assert do_local(bench.prepare("one"), Step("local", "run it here")) == {}
    assert bench.told[-1] == "no Docker engine here: the image is tested on the target only"


def _write_docker(folder: Path) -> Path:
    program = folder / "bin" / "docker"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    program.chmod(0o755)
    return program.parent
