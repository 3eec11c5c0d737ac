"""Images in Amazon's registry: repositories and passwords come from AWS's API, as moto has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from clouds.aws import Cloud, run_aws
from pymacaron.deploy.ecr import is_ecr, prepare_repository
from pymacaron.deploy.reference import parse_reference
from pymacaron.deploy.registry_login import Credentials, docker_knowing, find_credentials
from pymacaron.deploy.target import PlacementError

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.fixture(scope="module")
def aws() -> Iterator[Cloud]:
    """Run an AWS that boto3 finds."""
    with run_aws() as cloud, pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_PROFILE", raising=False)
        for name, value in cloud.environment.items():
            patch.setenv(name, value)
        yield cloud


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param(HOST, True, id="ECR"),
        pytest.param("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", True, id="FIPS"),
        pytest.param("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", True, id="China"),
        pytest.param("123456789012.dkr-ecr.eu-west-1.on.aws", True, id="dual-stack"),
        pytest.param("public.ecr.aws", False, id="the public gallery"),
        pytest.param(f"{HOST}.example.com", False, id="another host"),
        pytest.param("docker.io", False, id="Docker Hub"),
    ],
)
def test_hosts_of_amazon_are_known(host: str, expected: bool) -> None:
    assert is_ecr(host) is expected


@pytest.mark.usefixtures("aws")
def test_the_repository_is_made_once() -> None:
    """It is there after the first call, and the second finds it; the password shows nowhere."""
    reference = parse_reference(f"{HOST}/team/shop", "docker_repo")
    for _ in range(2):
        found = prepare_repository(reference, {})
        assert found is not None
        assert (found.user, found.password) == ("AWS", "123456789012-auth-token")
        assert found.password not in repr(found)
    (made,) = boto3.client("ecr").describe_repositories()["repositories"]
    assert made["repositoryUri"] == f"{HOST}/team/shop"


@pytest.mark.usefixtures("aws")
def test_wrong_keys_are_told() -> None:
    """The keys of the configuration go before those of the environment."""
    keys = {"aws_access_key_id": "AKIAWRONG", "aws_secret_access_key": "wrong"}
    with pytest.raises(
        PlacementError, match=r"^AWS DescribeRepositories: UnrecognizedClientException: The security token"
    ):
        prepare_repository(parse_reference(f"{HOST}/team/shop", "docker_repo"), keys)


@pytest.mark.usefixtures("aws")
def test_docker_knows_the_password_while_it_pushes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docker's own folder has stays in force beside it, and nothing is left afterwards."""
    usual = tmp_path / "docker"
    (usual / "contexts").mkdir(parents=True)
    own = {"auths": {"docker.io": {"auth": "b3duOm93bg=="}}, "credsStore": "desktop", "currentContext": "far"}
    (usual / "config.json").write_text(json.dumps(own))
    monkeypatch.setenv("DOCKER_CONFIG", str(usual))
    credentials = prepare_repository(parse_reference(f"{HOST}/shop", "docker_repo"), {})
    with docker_knowing(HOST, credentials) as environment:
        folder = Path(environment["DOCKER_CONFIG"])
        assert find_credentials(HOST, folder) == credentials
        assert find_credentials("docker.io", folder) == Credentials("own", "own")
        assert json.loads((folder / "config.json").read_text())["currentContext"] == "far"
        assert (folder / "contexts").is_dir()
        assert folder.stat().st_mode & 0o77 == 0
    assert not folder.exists()
    assert json.loads((usual / "config.json").read_text()) == own
    with docker_knowing(HOST, None) as environment:
        assert environment == {}


def test_other_registries_are_left_alone() -> None:
    """Nothing is asked of AWS for them, which need not be there."""
    assert prepare_repository(parse_reference("127.0.0.1:5000/shop", "docker_repo"), {}) is None
