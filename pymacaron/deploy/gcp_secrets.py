"""Which version of which secret in Secret Manager a variable gets; values are never read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.api_core.exceptions import NotFound
from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from pymacaron.deploy.gcp import connect, told_as_ours
from pymacaron.exceptions import ConfigError, Finding


def pin_secrets(
    project: str, names: Iterable[str], places: Mapping[str, str], *, endpoint: str | None
) -> dict[str, tuple[str, str]]:
    """Return variable -> (secret, number of its version): the newest one now, unless *places* says which.

    A version that is pinned goes back with its revision when traffic does. places: variable -> ``SECRET`` or
    ``SECRET:VERSION``. Raises: ConfigError: there is no such secret, or it has no version; all of them at once.
    """
    wanted = list(names)
    client = connect(SecretManagerServiceClient, endpoint) if wanted else None
    pinned: dict[str, tuple[str, str]] = {}
    findings = []
    for name in wanted:
        secret, _, version = places.get(name, name).partition(":")
        where = f"env_secrets: {name}"
        with told_as_ours(f"Secret Manager: {secret}"):
            try:
                found = client.get_secret_version(  # type: ignore[union-attr]  # there are names
                    name=f"projects/{project}/secrets/{secret}/versions/{version or 'latest'}"
                )
            except NotFound:
                fix = f"Run: gcloud secrets create {secret} --data-file=-, or name another in gcp_secrets"
                findings.append(Finding(where, f"Secret Manager of {project} has no version of {secret}", fix))
                continue
        if found.state.name != "ENABLED":
            findings.append(Finding(where, f"{found.name} is {found.state.name.lower()}", "Enable it, or add another"))
        pinned[name] = (secret, found.name.rpartition("/")[2])
    if findings:
        raise ConfigError(findings)
    return pinned
