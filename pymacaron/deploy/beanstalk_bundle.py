"""Plans what Elastic Beanstalk is given: source bundle, options of the environment, names. Nothing here calls AWS."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Collection, Mapping

import yaml

from pymacaron.deploy.beanstalk_settings import BeanstalkSettings
from pymacaron.deploy.target import PORT, Release
from pymacaron.exceptions import ConfigError, Finding
from pymacaron.json_types import JsonObject

COMPOSE = "docker-compose.yml"
RELEASE = "pymacaron-release.json"
PASSWORD_KEY = "docker/dockercfg"  # noqa: S105 - where pymacaron 2 has it in docker_bucket
HEALTH_PATH = "/ping"
_LOGIN = "Dockerrun.aws.json"
_MOST_NAME = 40  # Source: Elastic Beanstalk API reference, "CreateEnvironment"
_LEAST_NAME = 4
_STACK = re.compile(r"64bit Amazon Linux 2023 v(\d+)\.(\d+)\.(\d+) running Docker\Z")
_MADE = (2020, 1, 1, 0, 0, 0)  # the same bytes each time
_STOP_TIMEOUT = "30s"
_PROPERTIES = "aws:elasticbeanstalk:application:environment"
_SECRETS = "aws:elasticbeanstalk:application:environmentsecrets"
Options = dict[tuple[str, str], str]


def write_bundle(release: Release, password: tuple[str, str] | None = None) -> bytes:
    """Return the source bundle: a zip with docker-compose.yml and the release as JSON, the same bytes each time.

    password: bucket and key of the file by which instances log in to the registry; ECR needs none.
    Environment properties and secrets reach the container by the file .env, which Beanstalk writes beside it.
    Source: Elastic Beanstalk developer guide, "Preparing your Docker image" and "Configuring Docker environments".
    """
    service: dict[str, object] = {
        "image": release.image,
        "ports": [f"80:{PORT}"],
        "env_file": [".env"],
        "environment": {"PORT": str(PORT)},
        "restart": "unless-stopped",
        "stop_grace_period": _STOP_TIMEOUT,
    }
    files = {
        COMPOSE: yaml.safe_dump({"services": {"app": service}}, sort_keys=False),
        RELEASE: json.dumps(release.to_json(), indent=2) + "\n",
    }
    if password is not None:
        where = {"bucket": password[0], "key": password[1]}
        files[_LOGIN] = json.dumps({"AWSEBDockerrunVersion": "3", "Authentication": where}) + "\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, _MADE)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(entry, text)
    return packed.getvalue()


def read_bundle(data: bytes) -> Release | None:
    """Return the release that `write_bundle` packed; None: somebody else made the bundle."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as bundle:
            found: JsonObject = json.loads(bundle.read(RELEASE))
            return Release.from_json(found)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError):
        return None


def name_environment(application: str, version: str) -> str:
    """Return the environment's name, 4 to 40 letters, digits and hyphens: the application's and the version's."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", application).strip("-") or "app"
    name = f"{slug}-{version}"
    if _LEAST_NAME <= len(name) <= _MOST_NAME:
        return name
    digest = hashlib.sha256(f"{application}\n{version}".encode()).hexdigest()[:8]
    return f"{slug[:12].rstrip('-')}-{version[:17].rstrip('-')}-{digest}"


def choose_stack(names: Collection[str]) -> str | None:
    """Return the newest Docker platform on Amazon Linux 2023 among the solution stacks *names*, None without one."""
    found = [(tuple(map(int, match.groups())), name) for name in names if (match := _STACK.match(name))]
    return max(found)[1] if found else None


def plan_options(settings: BeanstalkSettings, secrets: Mapping[str, str], hidden: Collection[str]) -> Options:
    """Return the environment's options: (namespace, option) -> value. secrets: variable -> ARN.

    hidden: values of secrets, which no option may hold. Raises: ConfigError: one of `aws_options` does.
    """
    balanced = settings.is_balanced
    options: Options = {
        ("aws:elasticbeanstalk:environment", "EnvironmentType"): "LoadBalanced" if balanced else "SingleInstance",
        ("aws:elasticbeanstalk:environment", "ServiceRole"): settings.aws_service_role,
        ("aws:elasticbeanstalk:healthreporting:system", "SystemType"): "enhanced",
        ("aws:elasticbeanstalk:application", "Application Healthcheck URL"): HEALTH_PATH,
        ("aws:autoscaling:launchconfiguration", "IamInstanceProfile"): settings.aws_instance_profile,
        ("aws:autoscaling:launchconfiguration", "DisableIMDSv1"): "true",
        ("aws:ec2:instances", "InstanceTypes"): settings.instance_type,
        ("aws:ec2:instances", "SupportedArchitectures"): "arm64" if settings.is_arm else "x86_64",
    }
    if settings.aws_keypair:
        options["aws:autoscaling:launchconfiguration", "EC2KeyName"] = settings.aws_keypair
    if balanced:
        options |= _plan_balancer(settings)
    if settings.env:
        options[_PROPERTIES, "PYM_ENV"] = settings.env
    if settings.worker_count:
        options[_PROPERTIES, "PYM_GUNICORN_WORKERS_COUNT"] = str(settings.worker_count)
    options |= {(_SECRETS, name): arn for name, arn in secrets.items()}
    own = {(space, name): value for space, pairs in settings.aws_options.items() for name, value in pairs.items()}
    for (space, name), value in own.items():
        if any(secret in value for secret in hidden):
            fix = f"Name the variable in env_secrets, and {name}'s ARN in aws_secrets"
            where = f"{settings.where}: aws_options.{space}.{name}"
            raise ConfigError(Finding(where, "it holds the value of a secret, which everybody who may look sees", fix))
    return options | own


def _plan_balancer(settings: BeanstalkSettings) -> Options:
    options: Options = {
        ("aws:elasticbeanstalk:environment", "LoadBalancerType"): "application",
        ("aws:elasticbeanstalk:environment:process:default", "HealthCheckPath"): HEALTH_PATH,
        ("aws:autoscaling:asg", "MinSize"): str(settings.aws_hosts_min),
        ("aws:autoscaling:asg", "MaxSize"): str(settings.hosts_max),
    }
    if settings.aws_cert_arn:
        options["aws:elbv2:listener:443", "ListenerEnabled"] = "true"
        options["aws:elbv2:listener:443", "Protocol"] = "HTTPS"
        options["aws:elbv2:listener:443", "SSLCertificateArns"] = settings.aws_cert_arn
    return options


def describe_costs(settings: BeanstalkSettings, *, has_live: bool) -> list[str]:
    """Return sentences that say what is paid for, and for how long; no prices: those are the account's."""
    each = f"{settings.aws_hosts_min} {settings.instance_type} instance{'s' if settings.aws_hosts_min > 1 else ''}"
    if settings.hosts_max > settings.aws_hosts_min:
        each += f" (up to {settings.hosts_max} under load)"
    each += " and a load balancer" if settings.is_balanced else ""
    kept_s = settings.aws_dns_ttl + settings.aws_drain_time
    if not has_live:
        return [f"Costs: one environment, {each}, from now on."]
    until = f"until {kept_s:g} s after the old one has given up the live name and its watch is over"
    return [f"Costs: two environments side by side, each with {each}, from the start of the new one {until}; then one."]
