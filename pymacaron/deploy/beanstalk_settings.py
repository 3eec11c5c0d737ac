"""The keys of pym-config.yaml that a deploy to Elastic Beanstalk reads, those of pymacaron 2 among them."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, SecretStr, ValidationError, model_validator

from pymacaron.config import PymConfig
from pymacaron.config_file import show_path
from pymacaron.deploy.target import refuse_key
from pymacaron.exceptions import ConfigError, Finding

# vCPUs -> type. Source: EC2, "Instance types", family T3.
_TYPES = {2: "t3.micro", 4: "t3.xlarge", 8: "t3.2xlarge"}
_ARM = re.compile(r"[a-z]+\d+g[a-z-]*\.")
_REFERENCE = r"^arn:aws[a-z-]*:(secretsmanager:[^:]+:\d+:secret:\S+|ssm:[^:]+:\d+:parameter/\S+)$"

Prefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9-]{2,61})[A-Za-z0-9]$")]
Seconds = Annotated[float, Field(ge=0)]


class BeanstalkSettings(BaseModel):
    """What is deployed how; times are seconds.

    application: Beanstalk's application. where: file, for messages. live_url: where clients are told to go, None: the
    live name. bucket: of bundles, lock and journal; None: Beanstalk's own. env_secrets: names of variables.
    aws_user: profile of ~/.aws. aws_secrets: name of a variable -> ARN. aws_options: namespace -> option -> value; they
    go before all others. Source of namespaces: Elastic Beanstalk developer guide, "General options".
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True)

    application: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^/]+$")]
    where: str = "pym-config.yaml"
    env: str | None = None
    live_url: str | None = None
    bucket: str | None = None
    cpu_count: PositiveInt | None = None
    worker_count: PositiveInt | None = None
    env_secrets: tuple[str, ...] = ()

    aws_user: str | None = None
    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_region: str | None = None
    aws_default_region: str | None = None
    aws_keypair: str | None = None
    aws_instance_type: str | None = None
    aws_instance_profile: str = "aws-elasticbeanstalk-ec2-role"
    aws_service_role: str = "aws-elasticbeanstalk-service-role"
    aws_cert_arn: str | None = None
    aws_zone_id: str | None = None
    aws_hosts_min: PositiveInt = 1
    aws_hosts_max: PositiveInt | None = None
    aws_cname_prefix: Prefix | None = None
    aws_secrets: dict[str, Annotated[str, Field(pattern=_REFERENCE)]] = {}
    aws_options: dict[str, dict[str, str]] = {}
    aws_start_timeout: Seconds = 1200
    aws_settle_time: Seconds = 60
    aws_poll_interval: Annotated[float, Field(gt=0)] = 10
    aws_dns_ttl: Seconds = 60
    aws_drain_time: Seconds = 30

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.aws_hosts_max is not None and self.aws_hosts_max < self.aws_hosts_min:
            raise ValueError("aws_hosts_max is below aws_hosts_min. Make it larger")
        if bool(self.aws_access_key_id) != bool(self.aws_secret_access_key):
            raise ValueError("of aws_access_key_id and aws_secret_access_key only one is set. Set both, or neither")
        return self

    @property
    def region(self) -> str | None:
        """Return the configured region, None: boto3 finds it."""
        return self.aws_region or self.aws_default_region

    @property
    def keys(self) -> tuple[str, str] | None:
        """Return access key and secret, None: boto3 finds them."""
        if self.aws_access_key_id is None or self.aws_secret_access_key is None:
            return None
        return self.aws_access_key_id.get_secret_value(), self.aws_secret_access_key.get_secret_value()

    @property
    def instance_type(self) -> str:
        """Return the configured type, else the smallest of T3 that has `cpu_count` CPUs."""
        if self.aws_instance_type:
            return self.aws_instance_type
        return next((name for cpus, name in _TYPES.items() if cpus >= (self.cpu_count or 1)), _TYPES[max(_TYPES)])

    @property
    def is_arm(self) -> bool:
        """Tell whether instances of that type are Graviton's, which run images for arm64 only."""
        return bool(_ARM.match(self.instance_type))

    @property
    def is_balanced(self) -> bool:
        """Tell whether a load balancer stands before the instances: not where there is one at most, without https."""
        return self.hosts_max > 1 or self.aws_cert_arn is not None

    @property
    def hosts_max(self) -> int:
        """Return the most instances; four by default, as Beanstalk has it."""
        return self.aws_hosts_max or max(4, self.aws_hosts_min)

    @property
    def prefix(self) -> str:
        """Return the first part of the live name: ``aws_cname_prefix``, else made from the application's name."""
        if self.aws_cname_prefix:
            return self.aws_cname_prefix
        name = re.sub(r"[^a-z0-9-]+", "-", self.application.lower()).strip("-")[:57].strip("-")
        return name if len(name) > 3 else f"{name}-live".strip("-")  # noqa: PLR2004 - Beanstalk wants four


def read_settings(config: PymConfig) -> BeanstalkSettings:
    """Return what *config* says about a deploy to Beanstalk. Raises ConfigError with everything that is wrong."""
    where = show_path(config.config_path) if config.config_path else "pym-config.yaml"
    own = {name: value for name, value in (config.model_extra or {}).items() if name.startswith("aws_")}
    typed = {"aws_access_key_id", "aws_secret_access_key", "cpu_count", "worker_count"}
    given = own | {name: getattr(config, name) for name in typed} | {"application": config.name, "where": where}
    given |= {"bucket": config.docker_bucket, "env_secrets": tuple(config.env_secrets), "env": config.env}
    given["live_url"] = config.live_url or (f"https://{config.live_host}" if config.live_host else None)
    try:
        return BeanstalkSettings(**given)
    except ValidationError as error:
        raise ConfigError(
            [
                _to_finding(where, detail["loc"], detail["type"], detail["msg"])
                for detail in error.errors(include_url=False, include_context=False, include_input=False)
            ]
        ) from None


def _to_finding(where: str, place: tuple[int | str, ...], kind: str, message: str) -> Finding:
    name = ".".join(map(str, place))
    if kind == "extra_forbidden":
        return refuse_key(f"{where}: {name}", name, BeanstalkSettings.model_fields, "Elastic Beanstalk")
    shown = {"application": "name", "bucket": "docker_bucket"}.get(name, name)
    if not shown:
        found, _, fix = message.removeprefix("Value error, ").partition(". ")
        return Finding(where, found, fix)
    return Finding(f"{where}: {shown}", "its value does not fit", message[0].upper() + message[1:])
