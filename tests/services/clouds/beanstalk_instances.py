"""The instances of an environment: bundles become containers as the Docker platform of Amazon Linux 2023 does it."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import yaml
from botocore.exceptions import ClientError

from clouds import engine
from clouds.loopback import Forwarder

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PROPERTIES = "aws:elasticbeanstalk:application:environment"
_SECRETS = "aws:elasticbeanstalk:application:environmentsecrets"
_COMPOSE_KEYS = frozenset({"image", "ports", "env_file", "environment", "restart", "stop_grace_period", "command"})
_START_TIMEOUT_S = 90.0
Options = Mapping[tuple[str, str], str]


@dataclass
class Launched:
    """The containers of an environment, and the balancer before them."""

    containers: list[engine.Container]
    balancer: Forwarder


class LaunchError(Exception):
    """The instances do not run the bundle; *launched*: what has to be removed later."""

    def __init__(self, message: str, launched: Launched) -> None:
        """Take what an operator reads among the events."""
        super().__init__(message)
        self.launched = launched


class Stores:
    """S3, secrets and registries of the account: moto's. registries: ECR's names -> where its images really are."""

    def __init__(self, url: str, region: str, registries: Mapping[str, str]) -> None:
        """Take moto's URL."""
        self.registries = dict(registries)
        self.region = region
        keys = {"aws_access_key_id": "instance", "aws_secret_access_key": "instance"}
        self.s3: S3Client = boto3.client("s3", endpoint_url=url, region_name=region, **keys)  # type: ignore[call-overload]
        self.secrets: Any = boto3.client("secretsmanager", endpoint_url=url, region_name=region, **keys)  # type: ignore[call-overload]

    def make_bucket(self, name: str) -> None:
        """Make the bucket unless it is there."""
        with contextlib.suppress(self.s3.exceptions.BucketAlreadyOwnedByYou):
            self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.region})  # type: ignore[typeddict-item]


class Instances:
    """Starts and stops what bundles describe."""

    def __init__(self, stores: Stores) -> None:
        """Take where bundles, secrets and images are."""
        self._stores = stores

    def start(self, bucket: str, key: str, options: Options) -> Launched:
        """Run the bundle's containers, on as many instances as the options ask for. Raises LaunchError."""
        launched = Launched([], Forwarder())
        try:
            service = self._read_compose(bucket, key)
            variables = self._read_variables(service, options)
            path = options.get(("aws:elasticbeanstalk:application", "Application Healthcheck URL"), "/")
            is_balanced = options.get(("aws:elasticbeanstalk:environment", "EnvironmentType")) != "SingleInstance"
            count = int(options.get(("aws:autoscaling:asg", "MinSize"), "1")) if is_balanced else 1
            port = _read_port(service, options)
            self._log_in(bucket, key, service["image"])
            for _ in range(count):
                box = engine.start_container(self._find_image(service["image"]), environment=variables, port=port)
                launched.containers.append(box)
            for box in launched.containers:
                engine.wait_until_healthy(box, path=path, timeout_s=_START_TIMEOUT_S)
        except (engine.ContainerError, _BadBundleError) as error:
            launched.balancer.point_to([box.port for box in launched.containers])
            raise LaunchError(str(error).splitlines()[0], launched) from error
        launched.balancer.point_to([box.port for box in launched.containers])
        return launched

    def stop(self, launched: Launched, *, stop_timeout_s: int = 10) -> None:
        """Remove the containers, which get TERM and that time."""
        launched.balancer.close()
        for box in launched.containers:
            engine.remove_container(box, stop_timeout_s=stop_timeout_s)

    def write_tail(self, launched: Launched) -> str:
        """Return what "tail" brings: the last lines of several files, each below its name."""
        line = "-" * 40
        parts = [f"{line}\n/var/log/eb-engine.log\n{line}\n[INFO] Engine of the instance: starting\n\n\n"]
        for box in launched.containers:
            name = f"/var/log/eb-docker/containers/eb-current-app/eb-{box.container_id[:12]}-stdouterr.log"
            parts.append(f"{line}\n{name}\n{line}\n" + "\n".join(engine.read_logs(box, 100)) + "\n\n\n")
        return "".join(parts)

    def _read_compose(self, bucket: str, key: str) -> dict[str, Any]:
        try:
            with self._open(bucket, key) as bundle:
                services = yaml.safe_load(bundle.read("docker-compose.yml"))["services"]
        except (zipfile.BadZipFile, KeyError, TypeError, yaml.YAMLError):
            raise _BadBundleError("The source bundle has no valid docker-compose.yml at its top level.") from None
        if len(services) != 1:
            raise _BadBundleError("this server runs one service")
        service: dict[str, Any] = next(iter(services.values()))
        unknown = sorted(service.keys() - _COMPOSE_KEYS)
        if unknown:
            raise _BadBundleError(f"services.{next(iter(services))} Additional property {unknown[0]} is not allowed")
        return service

    def _open(self, bucket: str, key: str) -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(self._stores.s3.get_object(Bucket=bucket, Key=key)["Body"].read()))

    def _log_in(self, bucket: str, key: str, image: str) -> None:
        """Pull the image with the password that Dockerrun.aws.json, version 3, leads to."""
        with self._open(bucket, key) as bundle:
            if "Dockerrun.aws.json" not in bundle.namelist():
                return
            told = json.loads(bundle.read("Dockerrun.aws.json"))
        if told.get("AWSEBDockerrunVersion") != "3":
            raise _BadBundleError("Dockerrun.aws.json beside docker-compose.yml must be of version 3.")
        place = told["Authentication"]
        with tempfile.TemporaryDirectory() as folder:
            known = json.loads(self._stores.s3.get_object(Bucket=place["bucket"], Key=place["key"])["Body"].read())
            (Path(folder) / "config.json").write_text(json.dumps({"auths": known}))
            engine.pull_image(self._find_image(image), Path(folder))

    def _read_variables(self, service: Mapping[str, Any], options: Options) -> dict[str, str]:
        """Return the container's variables: those of .env only where the service names that file."""
        written = {name: value for (space, name), value in options.items() if space == _PROPERTIES}
        for (space, name), arn in options.items():
            if space == _SECRETS:
                written[name] = self._read_secret(name, arn)
        reads = ".env" in service.get("env_file", [])
        return {**(written if reads else {}), **service.get("environment", {})}

    def _read_secret(self, name: str, arn: str) -> str:
        try:
            return str(self._stores.secrets.get_secret_value(SecretId=arn)["SecretString"])
        except ClientError:
            raise _BadBundleError(f"Failed to get the secret for the environment variable {name} from {arn}.") from None

    def _find_image(self, image: str) -> str:
        registry, slash, rest = image.partition("/")
        return f"{self._stores.registries.get(registry, registry)}{slash}{rest}"


class _BadBundleError(Exception):
    """The instance's engine refuses the bundle."""


def _read_port(service: Mapping[str, Any], options: Options) -> int:
    if ("aws:autoscaling:launchconfiguration", "IamInstanceProfile") not in options:
        raise _BadBundleError("The environment has no instance profile: instances cannot start.")
    outer, _, inner = str(service.get("ports", [""])[0]).partition(":")
    if outer != "80" or not inner:
        raise _BadBundleError("nothing listens on port 80 of the instance")
    return int(inner)
