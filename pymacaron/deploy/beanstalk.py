"""The target `aws-beanstalk`: each release is an environment, and the live name is swapped between two of them."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from pymacaron.config import PymConfig
from pymacaron.deploy.aws import Aws, telling
from pymacaron.deploy.beanstalk_bundle import Options, describe_costs, name_environment, plan_options
from pymacaron.deploy.beanstalk_environments import Environments
from pymacaron.deploy.beanstalk_settings import read_settings
from pymacaron.deploy.beanstalk_stage import Stage
from pymacaron.deploy.beanstalk_traffic import Traffic, now
from pymacaron.deploy.metrics_page import NoPageError, fetch_page
from pymacaron.deploy.page_sums import find_starts, sum_pages
from pymacaron.deploy.s3_shelf import S3Shelf
from pymacaron.deploy.target import Placed, PlacementError, Release
from pymacaron.exceptions import Finding

if TYPE_CHECKING:
    from mypy_boto3_elasticbeanstalk.type_defs import EnvironmentDescriptionTypeDef as Environment

_ALL = 100
_PAGES_PER_INSTANCE = 20
_FOLDER = "pymacaron/"


class BeanstalkTarget:
    """Elastic Beanstalk's Docker platform.

    The live name is the CNAME of `aws_cname_prefix`. The very first environment is made with it, for AWS only swaps
    names; it counts as live from its first `shift` on.
    """

    name = "aws-beanstalk"
    steps = (_ALL,)

    def __init__(self, config: PymConfig) -> None:
        """Read the configuration; nothing is connected yet. Raises ConfigError."""
        self.settings = read_settings(config)
        self._config = config
        own = self.settings
        self._aws = Aws(own.region, user=own.aws_user, keys=own.keys, where=own.where)
        self._environments = Environments(self._aws, self.settings)

    @cached_property
    def live_url(self) -> str:
        """Return `live_url` of the configuration, else the URL of the live name, for which no certificate is made."""
        return (self.settings.live_url or f"http://{self._traffic.name}").rstrip("/")

    def plan(self, release: Release) -> list[str]:
        """Return sentences: what deploying *release* creates, changes and costs. Changes nothing."""
        environments = self._environments.list_present()
        holder = self._traffic.find_holder(environments)
        options = self._plan_options()
        self._validate(options, holder)
        name = name_environment(self.settings.application, release.version)
        bucket = f"s3://{self.settings.bucket}" if self.settings.bucket else "Elastic Beanstalk's own bucket"
        bundle = f"in region {self._aws.region}: its source bundle goes to {bucket}, below {self._own.prefix}"
        sentences = [
            f"Creates application version {release.version} of {self.settings.application} {bundle}.",
            f"Creates environment {name} on {self._stage.find_stack()}, from {release.image}.",
        ]
        secrets = sorted(self.settings.env_secrets)
        if secrets:
            profile = self.settings.aws_instance_profile
            sentences.append(f"Its instances read {', '.join(secrets)} by ARN, which {profile} must allow.")
        if holder is None:
            sentences.append(f"It is made with the name {self._traffic.name}, which no environment has.")
        else:
            wait_s = self.settings.aws_dns_ttl + self.settings.aws_drain_time
            sentences += [
                f"Once it has passed, it swaps names with {holder['EnvironmentName']}, which is {self._traffic.name}.",
                f"Terminates {holder['EnvironmentName']}, {wait_s:g} s after the swap at the soonest: DNS is cached.",
            ]
        return sentences + describe_costs(self.settings, has_live=holder is not None)

    def current(self) -> list[Placed]:
        """Return every release that has an environment; those that others made are left out."""
        environments = self._environments.list_present()
        if not environments:
            return []
        holder = self._traffic.find_holder(environments)
        shifts = self._traffic.read_shifts()
        placed = []
        for one in environments:
            release = self._stage.find_release(one.get("VersionLabel", ""))
            if release is not None and one.get("EndpointURL"):
                is_live = one is holder and release.version in shifts
                placed.append(Placed(release, self._locate(one), _ALL if is_live else 0))
        return placed

    def stage(self, release: Release) -> Placed:
        """Start *release* at a share of 0 and return it once it answers; after a crash, find what is there already.

        Raises: PlacementError: it does not come up, with its last log lines. ConfigError: a secret has no ARN.
        """
        one = self._environments.find(release.version)
        if one is None:
            options = self._plan_options()
            self._stage.make_version(release)
            one = self._stage.make_environment(release, options, self._choose_prefix())
        else:
            self._stage.make_version(release)
        one = self._environments.wait_until_healthy(one["EnvironmentId"])
        url = self._locate(one)
        self._stage.wait_until_answering(url, one["EnvironmentName"])
        return next(placed for placed in self.current() if placed.release.version == release.version)

    def shift(self, candidate: str, baseline: str | None, percent: int) -> None:
        """Give the live name to *candidate* for 100 percent, to *baseline* for 0; shares in between there are none.

        Raises: PlacementError: it has no environment, or *percent* is another number.
        """
        wanted = {0: baseline, _ALL: candidate}.get(percent)
        if wanted is None:
            found = f"{percent} percent cannot be had: names are swapped between environments"
            raise PlacementError(Finding("aws-beanstalk", found, "Shift 100 percent"))
        one = self._find(wanted)
        self._traffic.note(wanted, now())
        self._traffic.give(one)

    def check(self, version: str) -> None:
        """See that the environment is not ill. Raises: PlacementError: its health is Red, with its last log lines."""
        one = self._find(version)
        if one.get("Health") == "Red":
            raise self._environments.explain(one, f"its health is Red, {one.get('HealthStatus', 'without a status')}")

    def metrics(self, version: str) -> str:
        """Return the text of ``/metrics`` of that version, all its instances summed.

        Instances are told apart by the starts of their processes: it is asked again until each has answered.
        Raises: PlacementError: not all of them answer; with the environment's last log lines.
        """
        one = self._find(version)
        url = self._locate(one)
        if self._config.metrics_port:
            found = f"metrics_port is {self._config.metrics_port}, and Beanstalk lets port 80 through only"
            raise PlacementError(Finding("aws-beanstalk", found, "Remove metrics_port, and set metrics_token"))
        count = self._count_instances(one)
        pages: dict[frozenset[str], str] = {}
        for _ in range(_PAGES_PER_INSTANCE * count):
            page = self._fetch_page(one, url)
            starts = find_starts(page)
            if not starts and count > 1:
                found = f"{url}{self._config.metrics_path} has no process_start_time_seconds to tell {count} apart by"
                raise PlacementError(Finding("aws-beanstalk", found, "Set aws_hosts_max to 1"))
            pages = {known: text for known, text in pages.items() if not known & starts} | {starts: page}
            if len(pages) >= count:
                return sum_pages(pages.values()) if count > 1 else page
        found = f"of {count} instances only {len(pages)} answered GET {url}{self._config.metrics_path}"
        raise PlacementError(Finding("aws-beanstalk", found, "Look at the environment's health"))

    def logs(self, version: str, lines: int = 50) -> list[str]:
        """Return the last *lines* of what that version's containers wrote to their output."""
        return self._environments.read_logs(self._find(version)["EnvironmentId"], lines)

    def retire(self, version: str) -> None:
        """Terminate that version's environment, once callers with an old DNS answer have left it.

        Raises: PlacementError: it has the live name.
        """
        environments = self._environments.list_present()
        one = next((one for one in environments if one.get("VersionLabel") == version), None)
        shifts = self._traffic.read_shifts()
        if one is not None and version in shifts:
            if one is self._traffic.find_holder(environments):
                found = f"{version} has the name {self._traffic.name}"
                raise PlacementError(Finding("aws-beanstalk", found, "Give the traffic to another version first"))
            self._wait_for_drain(one)
        self._stage.remove(version)
        self._traffic.note(version, None)

    def shelf(self) -> S3Shelf:
        """Return the place for lock and journal, in the bucket of the bundles."""
        return S3Shelf(self._aws, self.settings.bucket, f"{self._own.prefix}deploy/")

    @cached_property
    def _own(self) -> S3Shelf:
        return S3Shelf(self._aws, self.settings.bucket, f"{_FOLDER}{self.settings.application}/")

    @cached_property
    def _traffic(self) -> Traffic:
        return Traffic(self._aws, self.settings, self._environments, self._own)

    @cached_property
    def _stage(self) -> Stage:
        return Stage(self._aws, self.settings, self._environments, self._own)

    def _plan_options(self) -> Options:
        return plan_options(self.settings, self._stage.find_secrets(), self._config.find_secrets())

    def _choose_prefix(self) -> str | None:
        """Return the live prefix if no environment has the live name, else None.

        Raises: PlacementError: somebody else has it.
        """
        if self._traffic.find_holder(self._environments.list_present()) is not None:
            return None
        if not self._traffic.is_free():
            found = f"the name {self._traffic.name} is taken, by nobody of {self.settings.application}"
            raise PlacementError(Finding("aws-beanstalk", found, "Set aws_cname_prefix to another one"))
        return self.settings.prefix

    def _validate(self, options: Options, holder: Environment | None) -> None:
        """Let AWS check the options, which it does beside an environment that is there."""
        if holder is None:
            return
        with telling("ValidateConfigurationSettings"):
            answer = self._aws.beanstalk.validate_configuration_settings(
                ApplicationName=self.settings.application,
                EnvironmentName=holder["EnvironmentName"],
                OptionSettings=[
                    {"Namespace": space, "OptionName": option, "Value": value}
                    for (space, option), value in options.items()
                ],
            )
        bad = [message for message in answer["Messages"] if message.get("Severity") == "error"]
        if bad:
            told = "; ".join(f"{one.get('Namespace')} {one.get('OptionName')}: {one.get('Message')}" for one in bad)
            raise PlacementError(Finding("AWS ValidateConfigurationSettings", told.rstrip("."), "Change these options"))

    def _find(self, version: str) -> Environment:
        one = self._environments.find(version)
        if one is None:
            found = f"{version} has no environment"
            raise PlacementError(Finding("aws-beanstalk", found, "Deploy it again"))
        return one

    def _locate(self, one: Environment) -> str:
        return f"http://{one['EndpointURL']}"

    def _count_instances(self, one: Environment) -> int:
        if not self.settings.is_balanced:
            return 1
        with telling("DescribeEnvironmentResources"):
            answer = self._aws.beanstalk.describe_environment_resources(EnvironmentId=one["EnvironmentId"])
        return max(1, len(answer["EnvironmentResources"].get("Instances", [])))

    def _fetch_page(self, one: Environment, url: str) -> str:
        try:
            return fetch_page(url, self._config)
        except NoPageError as error:
            raise self._environments.explain(one, str(error)) from None

    def _wait_for_drain(self, one: Environment) -> None:
        """Wait until the swap, which changed the environment last, is `aws_dns_ttl` and `aws_drain_time` ago."""
        span = timedelta(seconds=self.settings.aws_dns_ttl + self.settings.aws_drain_time)
        while (left := one["DateUpdated"] + span - self._environments.now()) > timedelta():
            time.sleep(min(left, span).total_seconds())
