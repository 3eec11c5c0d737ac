"""What Elastic Beanstalk is given, as plain data."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from pymacaron.config import load_config
from pymacaron.deploy.beanstalk_bundle import (
    choose_stack,
    describe_costs,
    name_environment,
    plan_options,
    read_bundle,
    write_bundle,
)
from pymacaron.deploy.beanstalk_settings import BeanstalkSettings, read_settings
from pymacaron.deploy.page_sums import find_starts, sum_pages
from pymacaron.deploy.target import Release
from pymacaron.exceptions import ConfigError

IMAGE = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop@sha256:{'ab' * 32}"
RELEASE = Release("20261127-181500-abc1234", IMAGE, "abc1234", "", datetime(2026, 11, 27, 18, 15, tzinfo=UTC))
PROPERTIES = "aws:elasticbeanstalk:application:environment"
# As pymacaron 2's documents have it.
OLD_KEYS = """\
name: shop
live_host: shop.example.com
deploy_target: aws-beanstalk
docker_repo: example
docker_bucket: shop-docker
aws_user: shop-deploy
aws_keypair: shop-keys
aws_instance_type: t2.micro
aws_cert_arn: arn:aws:acm:eu-west-1:123456789012:certificate/1
aws_zone_id: Z1
aws_default_region: eu-west-1
aws_hosts_min: 2
aws_hosts_max: 6
"""


def read(folder: Path, text: str) -> BeanstalkSettings:
    (folder / "pym-config.yaml").write_text(text)
    return read_settings(load_config(folder))


def test_the_bundle_is_a_compose_file_and_the_release() -> None:
    """The bundle's files are exactly these, the same bytes each time, and the release can be read from it."""
    bundle = write_bundle(RELEASE)
    assert bundle == write_bundle(RELEASE)
    with zipfile.ZipFile(io.BytesIO(bundle)) as packed:
        assert packed.namelist() == ["docker-compose.yml", "pymacaron-release.json"]
        assert yaml.safe_load(packed.read("docker-compose.yml")) == {
            "services": {
                "app": {
                    "image": IMAGE,
                    "ports": ["80:8080"],
                    "env_file": [".env"],
                    "environment": {"PORT": "8080"},
                    "restart": "unless-stopped",
                    "stop_grace_period": "30s",
                }
            }
        }
    assert read_bundle(bundle) == RELEASE


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"no zip", id="no zip"),
        pytest.param(b"", id="empty"),
        pytest.param(write_bundle(RELEASE)[:-10], id="cut"),
    ],
)
def test_bundles_of_others_have_no_release(data: bytes) -> None:
    assert read_bundle(data) is None


@pytest.mark.parametrize(
    ("application", "version", "name"),
    [
        pytest.param("shop", "20261127-181500-abc1234", "shop-20261127-181500-abc1234", id="short"),
        pytest.param("my shop_2", "1", "my-shop-2-1", id="other characters"),
        pytest.param("a", "1", "a-1-4f395a2e", id="less than four"),
        pytest.param("Überraschung", "1", "berraschung-1", id="not ASCII"),
        pytest.param("shop", "v" * 40, "shop-vvvvvvvvvvvvvvvvv-244efac7", id="long version"),
        pytest.param(
            "a-very-long-name-of-a-service",
            "20261127-181500-abc1234",
            "a-very-long-20261127-181500-a-0481d8ba",
            id="long name",
        ),
    ],
)
def test_names_of_environments(application: str, version: str, name: str) -> None:
    """Names have 4 to 40 letters, digits and hyphens, none at the ends; two releases never share one."""
    found = name_environment(application, version)
    assert found == name
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{2,38}[A-Za-z0-9]", found)
    assert found != name_environment(application, f"{version[:-1]}0" if version[-1] != "0" else f"{version[:-1]}1")
    assert found != name_environment(f"{application}x", version)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        pytest.param(["2023 v4.9.0 running Docker", "2023 v4.10.1 running Docker"], 1, id="by number"),
        pytest.param(["2023 v4.0.0 running ECS", "2 v9.0.0 running Docker"], None, id="none"),
    ],
)
def test_the_newest_docker_platform_is_chosen(names: list[str], chosen: int | None) -> None:
    names = [f"64bit Amazon Linux {name}" for name in names]
    assert choose_stack(names) == (None if chosen is None else names[chosen])


def test_keys_of_pymacaron_2_work(tmp_path: Path) -> None:
    """All keys that pymacaron 2 read mean what they meant; secrets are options of their own."""
    settings = read(tmp_path, OLD_KEYS)
    assert (settings.region, settings.bucket, settings.aws_user) == ("eu-west-1", "shop-docker", "shop-deploy")
    assert (settings.live_url, settings.prefix) == ("https://shop.example.com", "shop")
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:JWT_SECRET-AbCdEf"
    assert plan_options(settings, {"JWT_SECRET": arn}, ["the value"]) == {
        ("aws:autoscaling:asg", "MaxSize"): "6",
        ("aws:autoscaling:asg", "MinSize"): "2",
        ("aws:autoscaling:launchconfiguration", "DisableIMDSv1"): "true",
        ("aws:autoscaling:launchconfiguration", "EC2KeyName"): "shop-keys",
        ("aws:autoscaling:launchconfiguration", "IamInstanceProfile"): "aws-elasticbeanstalk-ec2-role",
        ("aws:ec2:instances", "InstanceTypes"): "t2.micro",
        ("aws:ec2:instances", "SupportedArchitectures"): "x86_64",
        ("aws:elasticbeanstalk:application", "Application Healthcheck URL"): "/ping",
        ("aws:elasticbeanstalk:application:environmentsecrets", "JWT_SECRET"): arn,
        ("aws:elasticbeanstalk:environment", "EnvironmentType"): "LoadBalanced",
        ("aws:elasticbeanstalk:environment", "LoadBalancerType"): "application",
        ("aws:elasticbeanstalk:environment", "ServiceRole"): "aws-elasticbeanstalk-service-role",
        ("aws:elasticbeanstalk:environment:process:default", "HealthCheckPath"): "/ping",
        ("aws:elasticbeanstalk:healthreporting:system", "SystemType"): "enhanced",
        ("aws:elbv2:listener:443", "ListenerEnabled"): "true",
        ("aws:elbv2:listener:443", "Protocol"): "HTTPS",
        ("aws:elbv2:listener:443", "SSLCertificateArns"): "arn:aws:acm:eu-west-1:123456789012:certificate/1",
    }
    assert describe_costs(settings, has_live=True) == [
        (
            "Costs: two environments side by side, each with 2 t2.micro instances (up to 6 under load) and a load "
            "balancer, from the start of the new one until 90 s after the old one has given up the live name and its "
            "watch is over; then one."
        )
    ]


@pytest.mark.parametrize(
    ("text", "option", "value"),
    [
        pytest.param("cpu_count: 3", ("aws:ec2:instances", "InstanceTypes"), "t3.xlarge", id="CPUs choose the type"),
        pytest.param(
            "aws_instance_type: t4g.small", ("aws:ec2:instances", "SupportedArchitectures"), "arm64", id="Graviton"
        ),
        pytest.param(
            "aws_hosts_max: 1", ("aws:elasticbeanstalk:environment", "EnvironmentType"), "SingleInstance", id="one host"
        ),
        pytest.param("worker_count: 3", (PROPERTIES, "PYM_GUNICORN_WORKERS_COUNT"), "3", id="workers"),
        pytest.param(
            "aws_options: {'aws:ec2:vpc': {VPCId: vpc-1}}", ("aws:ec2:vpc", "VPCId"), "vpc-1", id="own options"
        ),
    ],
)
def test_settings_become_options(tmp_path: Path, text: str, option: tuple[str, str], value: str) -> None:
    assert plan_options(read(tmp_path, f"name: shop\n{text}\n"), {}, [])[option] == value


@pytest.mark.parametrize(
    ("line", "told"),
    [
        pytest.param(
            "aws_instnce_type: t3.micro",
            "aws_instnce_type: no deploy to Elastic Beanstalk reads this key. Write aws_instance_type.",
            id="misspelt",
        ),
        pytest.param(
            "aws_hosts_max: 0", "aws_hosts_max: its value does not fit. Input should be greater than 0.", id="no host"
        ),
        pytest.param(
            "aws_hosts_min: 5\naws_hosts_max: 2",
            "yaml: aws_hosts_max is below aws_hosts_min. Make it larger.",
            id="hosts",
        ),
        pytest.param("aws_access_key_id: A", "only one is set. Set both, or neither.", id="keys"),
        pytest.param(
            "aws_secrets: {JWT_SECRET: hunter2}",
            "aws_secrets.JWT_SECRET: its value does not fit. String should match pattern",
            id="a value in the place of an ARN",
        ),
        pytest.param("aws_cname_prefix: a_b", "aws_cname_prefix: its value does not fit. String should", id="prefix"),
    ],
)
def test_wrong_settings_are_told(tmp_path: Path, line: str, told: str) -> None:
    """Each message names key and remedy, and never shows the value."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"name: shop\n{line}\n")
    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_option_never_holds_a_secret(tmp_path: Path) -> None:
    """Everybody who may look at an environment sees its options."""
    option = "aws_options: {'aws:elasticbeanstalk:application:environment': {DB: postgres://u:hunter2@db}}"
    settings = read(tmp_path, f"name: shop\n{option}\n")
    with pytest.raises(ConfigError) as caught:
        plan_options(settings, {}, ["hunter2"])
    assert str(caught.value).endswith(
        "aws_options.aws:elasticbeanstalk:application:environment.DB: it holds the value of a secret, which everybody "
        "who may look sees. Name the variable in env_secrets, and DB's ARN in aws_secrets."
    )


def test_pages_of_instances_are_summed() -> None:
    """Counters and buckets are added, facts are not; instances are told apart by their starts."""
    first = (
        "# TYPE requests_total counter\n"
        'requests_total{path="/a} b",status="200"} 3.0\n'
        'process_start_time_seconds{worker="1"} 100.5\n'
        "active 1\n"
    )
    second = 'requests_total{path="/a} b",status="200"} 4.0\nprocess_start_time_seconds{worker="1"} 200.25\nlost 2\n'
    assert sum_pages([first, second]) == (
        "# TYPE requests_total counter\n"
        'requests_total{path="/a} b",status="200"} 7.0\n'
        'process_start_time_seconds{worker="1"} 200.25\n'
        "active 1.0\n"
        "lost 2.0\n"
    )
    assert find_starts(first) == {"100.5"}
    assert find_starts("requests_total 1\n") == frozenset()
