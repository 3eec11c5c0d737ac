"""Images in Amazon's registry (ECR): the repository is made where it is missing, and AWS gives the password."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Mapping

from pymacaron.deploy.reference import ImageReference
from pymacaron.deploy.registry_login import Credentials
from pymacaron.exceptions import ConfigError, Finding

# Source: ECR user guide, "Private registry", with its endpoints for FIPS, dual-stack and China.
_HOST = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)\Z"
)


def is_ecr(registry: str) -> bool:
    """Tell whether the host is one of ECR's: ``123456789012.dkr.ecr.eu-west-1.amazonaws.com``."""
    return _HOST.match(registry) is not None


def prepare_repository(reference: ImageReference, settings: Mapping[str, object]) -> Credentials | None:
    """Make the repository of *reference* unless it is there, and return what one logs in to it with, for 12 hours.

    None: the registry is another one, and nothing was done. settings: keys of pym-config.yaml; its ``aws_user``, or
    ``aws_access_key_id`` and ``aws_secret_access_key``, choose the account, else boto3 finds it.
    Raises: TargetError: AWS refuses. ConfigError: boto3 is not installed.
    """
    match = _HOST.match(reference.registry)
    if match is None:
        return None
    try:
        from pymacaron.deploy.aws import Aws, telling  # noqa: PLC0415 - boto3 is optional
    except ModuleNotFoundError as error:
        found = f"{reference.registry} needs {error.name}, which is not installed"
        raise ConfigError(Finding("docker_repo", found, "Run: pip install 'pymacaron[aws]'")) from error
    account, region = match["account"], match["region"]
    user = str(settings.get("aws_user") or "") or None
    keys = (str(settings.get("aws_access_key_id") or ""), str(settings.get("aws_secret_access_key") or ""))
    client = Aws(region, user=user, keys=keys if all(keys) else None).ecr
    with telling("DescribeRepositories"):
        try:
            client.describe_repositories(registryId=account, repositoryNames=[reference.repository])
            is_there = True
        except client.exceptions.RepositoryNotFoundException:
            is_there = False
    if not is_there:
        met = client.exceptions.RepositoryAlreadyExistsException  # another deploy made it meanwhile
        with telling("CreateRepository"), contextlib.suppress(met):
            client.create_repository(registryId=account, repositoryName=reference.repository)
    with telling("GetAuthorizationToken"):
        given = client.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    name, _, password = base64.b64decode(given).decode().partition(":")
    return Credentials(name, password)
