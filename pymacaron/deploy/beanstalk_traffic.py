"""Says which environment has the live name, and swaps names: exactly once, whatever the network does."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pymacaron.deploy.aws import Aws, telling
from pymacaron.deploy.beanstalk_environments import Environments
from pymacaron.deploy.beanstalk_settings import BeanstalkSettings
from pymacaron.deploy.s3_shelf import S3Shelf
from pymacaron.deploy.target import PlacementError, ShelfConflict
from pymacaron.exceptions import Finding

if TYPE_CHECKING:
    from mypy_boto3_elasticbeanstalk.type_defs import EnvironmentDescriptionTypeDef as Environment

_NOTE = "traffic.json"
_TRIES = 5


class Traffic:
    """The live name of one application; *shelf* keeps which versions were given it, and when."""

    def __init__(self, aws: Aws, settings: BeanstalkSettings, environments: Environments, shelf: S3Shelf) -> None:
        """Take what it works with."""
        self._aws = aws
        self._settings = settings
        self._environments = environments
        self._shelf = shelf

    @cached_property
    def name(self) -> str:
        """Return the live name, as AWS completes it: ``shop.eu-west-1.elasticbeanstalk.com``."""
        with telling("CheckDNSAvailability"):
            answer = self._aws.beanstalk.check_dns_availability(CNAMEPrefix=self._settings.prefix)
        return answer["FullyQualifiedCNAME"]

    def is_free(self) -> bool:
        """Tell whether nobody in the region has the live name."""
        with telling("CheckDNSAvailability"):
            return self._aws.beanstalk.check_dns_availability(CNAMEPrefix=self._settings.prefix)["Available"]

    def find_holder(self, environments: list[Environment]) -> Environment | None:
        """Return the one of *environments* that has the live name, None if none of them has it."""
        return next((one for one in environments if one.get("CNAME", "").lower() == self.name.lower()), None)

    def read_shifts(self) -> dict[str, str]:
        """Return the versions that were given the live name, with the time in UTC (ISO 8601)."""
        found = self._shelf.get(_NOTE)
        shifts: dict[str, str] = json.loads(found[0])["shifted"] if found else {}
        return shifts

    def note(self, version: str, time_of_shift: str | None) -> None:
        """Write that the version was given the live name, or with None, forget it."""
        for _ in range(_TRIES):
            found = self._shelf.get(_NOTE)
            shifts: dict[str, str] = json.loads(found[0])["shifted"] if found else {}
            after = {name: when for name, when in shifts.items() if name != version}
            if time_of_shift is not None:
                after[version] = shifts.get(version, time_of_shift)
            if after == shifts:
                return
            try:
                self._shelf.put(_NOTE, json.dumps({"shifted": after}).encode(), found[1] if found else None)
            except ShelfConflict:
                continue
            return
        where = f"s3://{self._shelf.bucket}/{self._shelf.prefix}{_NOTE}"
        raise PlacementError(Finding(where, "others write it all the time", "Let one deploy run at a time"))

    def give(self, wanted: Environment) -> None:
        """Give *wanted* the live name; the environment that has it gets the name of *wanted*.

        AWS swaps back if it is asked twice, so a call whose answer is lost is never simply repeated: names are read
        first. Raises: PlacementError: no environment has the live name, or AWS refuses.
        """
        error: Exception = TimeoutError("the names went back and forth")
        for _ in range(_TRIES):
            holder = self._find_settled_holder(wanted)
            if holder["EnvironmentId"] == wanted["EnvironmentId"]:
                return
            try:
                self._aws.once.swap_environment_cnames(
                    SourceEnvironmentId=holder["EnvironmentId"], DestinationEnvironmentId=wanted["EnvironmentId"]
                )
            except (ClientError, BotoCoreError) as refused:
                error = refused
            else:
                self._environments.wait_until(wanted["EnvironmentId"], self._has_name, f"the name {self.name}")
            time.sleep(self._settings.aws_poll_interval)
        with telling("SwapEnvironmentCNAMEs"):
            raise error

    def _find_settled_holder(self, wanted: Environment) -> Environment:
        """Return who has the live name, once neither that environment nor *wanted* is being changed."""
        for environment_id in {wanted["EnvironmentId"], self._read_holder(wanted)["EnvironmentId"]}:
            self._environments.wait_until(environment_id, _is_ready, "the state Ready, to swap names")
        return self._read_holder(wanted)

    def _read_holder(self, wanted: Environment) -> Environment:
        holder = self.find_holder(self._environments.list_present())
        if holder is None:
            found = f"no environment of {self._settings.application} has the name {self.name}"
            fix = f"Remove environment {wanted['EnvironmentName']} and deploy again: it is then made with that name"
            raise PlacementError(Finding("aws-beanstalk", found, fix))
        return holder

    def _has_name(self, one: Environment) -> bool:
        return one["Status"] == "Ready" and one.get("CNAME", "").lower() == self.name.lower()


def _is_ready(one: Environment) -> bool:
    return one["Status"] == "Ready"


def now() -> str:
    """Return the time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
