"""What the targets at Google share: keys, the project, credentials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.cloud import run_v2

from pymacaron.config import PymConfig
from pymacaron.deploy.gcp import connect, find_credentials, find_project, read_settings
from pymacaron.exceptions import ConfigError, TargetError


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without credentials; gives its home folder."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("keys", "project"),
    [
        pytest.param({"gcp_project": "given", "docker_repo": "other"}, "given", id="its own key"),
        pytest.param({"docker_repo": "acme"}, "acme", id="as pymacaron 2 had it"),
        pytest.param({"docker_repo": "europe-docker.pkg.dev/acme/images"}, "acme", id="artifact registry"),
        pytest.param({"docker_repo": "gcr.io/acme"}, "acme", id="container registry"),
    ],
)
def test_the_project_is_found(keys: dict[str, Any], project: str) -> None:
    """The project is told by its key or by where images go."""
    config = PymConfig.model_validate({"name": "shop", "gcp_region": "europe-north1", **keys})
    assert find_project(config, read_settings(config)) == project


def test_faults_of_keys_are_told_together(tmp_path: Path) -> None:
    """A missing, a wrong and an unknown key are three findings."""
    given = {"name": "shop", "config_path": tmp_path / "pym-config.yaml", "gcp_memory": "lots", "gcp_memroy": "1Gi"}
    config = PymConfig.model_validate(given)
    with pytest.raises(ConfigError) as caught:
        read_settings(config)
    assert str(caught.value).replace(f"{tmp_path}/", "") == (
        "pym-config.yaml: gcp_region: it is not set. Mend gcp_region.\n"
        "pym-config.yaml: gcp_memory: String should match pattern '^[0-9.]+[kKMGT]i?$'. Mend gcp_memory.\n"
        "pym-config.yaml: gcp_memroy: no deploy to Google Cloud reads this key. Write gcp_memory."
    )


@pytest.mark.usefixtures("nobody")
def test_a_missing_login_is_told() -> None:
    """Without credentials the error says how to get some; where they were to tell the project, which key to set."""
    with pytest.raises(TargetError) as caught:
        find_credentials(None)
    assert str(caught.value).startswith("Google's application default credentials: ")
    assert str(caught.value).endswith(
        "Run gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS."
    )
    config = PymConfig.model_validate(
        {"name": "shop", "gcp_region": "europe-north1", "docker_repo": "127.0.0.1:5000/x"}
    )
    with pytest.raises(ConfigError) as project:
        find_project(config, read_settings(config))
    assert str(project.value) == (
        "pym-config.yaml: gcp_project: neither it, nor docker_repo, nor credentials tell the project. Set it."
    )


def test_credentials_of_the_machine_are_used(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They tell the project, and Google's own address is called with them unless another one is given."""
    user = {"type": "authorized_user", "client_id": "id", "client_secret": "secret", "refresh_token": "token"}
    file = nobody / "user.json"
    file.write_text(json.dumps(user))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "acme")
    config = PymConfig.model_validate({"name": "shop", "gcp_region": "europe-north1"})
    assert find_project(config, read_settings(config)) == "acme"
    assert find_credentials(None).refresh_token == "token"
    assert connect(run_v2.ServicesClient, None).transport.host == "run.googleapis.com:443"
    elsewhere = connect(run_v2.ServicesClient, "https://europe-north1-run.googleapis.com")
    assert elsewhere.transport.host == "europe-north1-run.googleapis.com:443"
