"""Opens AWS's clients for one configuration, and says in one sentence what AWS refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, ProfileNotFound

from pymacaron.deploy.target import PlacementError
from pymacaron.exceptions import ConfigError, Finding

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_elasticbeanstalk import ElasticBeanstalkClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient

_ATTEMPTS = 10  # of calls that AWS throttles, with growing pauses
_CONNECT_TIMEOUT_S = 10
_READ_TIMEOUT_S = 60
# Source: IAM user guide, "Troubleshoot"; AWS General Reference, "Common errors".
_BAD_CREDENTIALS = frozenset({
    "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidAccessKeyId",
    "InvalidClientTokenId", "InvalidSignatureException", "InvalidToken", "MissingAuthenticationToken",
    "RequestExpired", "SignatureDoesNotMatch", "UnrecognizedClientException",
})  # fmt: skip
_REFUSED = frozenset(
    {"AccessDenied", "AccessDeniedException", "InsufficientPrivilegesException", "UnauthorizedOperation"}
)
_THROTTLED = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "SlowDown", "TooManyRequestsException"}
)
_NO_KEYS = "Set aws_user to a profile of ~/.aws, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


class AwsError(PlacementError):
    """AWS refused a call or did not answer. code: its own code, such as ``InvalidParameterValue``; "" without one."""

    def __init__(self, finding: Finding, code: str = "") -> None:
        """Take the *finding* and the *code*."""
        super().__init__(finding)
        self.code = code


class Aws:
    """The clients of one account and region; each is opened when it is first asked for."""

    def __init__(
        self,
        region: str | None,
        *,
        user: str | None = None,
        keys: tuple[str, str] | None = None,
        where: str = "pym-config.yaml",
    ) -> None:
        """Take region, profile and keys; boto3 finds what is None. where: file, for messages.

        Raises: ConfigError: there is no such profile, or no region.
        """
        try:
            self._session = boto3.Session(
                profile_name=None if keys else user,
                region_name=region,
                aws_access_key_id=keys[0] if keys else None,
                aws_secret_access_key=keys[1] if keys else None,
            )
        except ProfileNotFound as error:
            fix = f"Run: aws configure --profile {user}"
            raise ConfigError(Finding(f"{where}: aws_user", f"there is no profile called {user}", fix)) from error
        if not self._session.region_name:
            raise ConfigError(Finding(f"{where}: aws_region", "no region is set", "Write one, such as eu-west-1"))
        self.region: str = self._session.region_name

    @cached_property
    def beanstalk(self) -> ElasticBeanstalkClient:
        """Return the client of Elastic Beanstalk."""
        client: ElasticBeanstalkClient = self._session.client("elasticbeanstalk", config=_configure(_ATTEMPTS))
        return client

    @cached_property
    def once(self) -> ElasticBeanstalkClient:
        """Return a client of Elastic Beanstalk that never repeats a call, for those that must not be done twice."""
        client: ElasticBeanstalkClient = self._session.client("elasticbeanstalk", config=_configure(1))
        return client

    @cached_property
    def own_bucket(self) -> str:
        """Return Elastic Beanstalk's bucket of this account and region; it is made unless it is there."""
        with telling("CreateStorageLocation"):
            return self.beanstalk.create_storage_location()["S3Bucket"]

    @cached_property
    def s3(self) -> S3Client:
        """Return the client of S3."""
        client: S3Client = self._session.client("s3", config=_configure(_ATTEMPTS))
        return client

    @cached_property
    def ecr(self) -> ECRClient:
        """Return the client of the container registry."""
        client: ECRClient = self._session.client("ecr", config=_configure(_ATTEMPTS))
        return client

    @cached_property
    def secrets(self) -> SecretsManagerClient:
        """Return the client of Secrets Manager; it is asked for names, never for values."""
        client: SecretsManagerClient = self._session.client("secretsmanager", config=_configure(_ATTEMPTS))
        return client


@contextmanager
def telling(call: str) -> Iterator[None]:
    """Raise AwsError, with what to do, in the place of boto3's errors. call: what is shown: ``CreateEnvironment``."""
    try:
        yield
    except ClientError as error:
        raise _explain(call, error) from error
    except (NoCredentialsError, NoRegionError) as error:
        raise AwsError(Finding(f"AWS {call}", _end(error), _NO_KEYS), "NoCredentials") from error
    except BotoCoreError as error:
        fix = "Check the network, the region and AWS_ENDPOINT_URL"
        raise AwsError(Finding(f"AWS {call}", _end(error), fix)) from error


def read_code(error: ClientError) -> str:
    """Return AWS's code of the error: ``InvalidParameterValue``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _explain(call: str, error: ClientError) -> AwsError:
    code = read_code(error)
    said = str(error.response.get("Error", {}).get("Message", "")).rstrip(". ")
    if code in _BAD_CREDENTIALS:
        fix = f"These credentials are not valid: {_NO_KEYS[0].lower()}{_NO_KEYS[1:]}"
    elif code in _REFUSED:
        fix = "Give the account that deploys the right to do it"
    elif code in _THROTTLED:
        fix = f"AWS had no time in {_ATTEMPTS} tries: deploy again later"
    else:
        fix = "Change what AWS names"
    return AwsError(Finding(f"AWS {call}", f"{code}: {said}" if said else code, fix), code)


def _end(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(". ")


def _configure(attempts: int) -> Config:
    options: dict[str, Any] = {"retries": {"mode": "standard", "total_max_attempts": attempts}}
    return Config(connect_timeout=_CONNECT_TIMEOUT_S, read_timeout=_READ_TIMEOUT_S, **options)
