"""Finds Beanstalk's environments and waits for them, with a deadline and the reasons that Beanstalk gives."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import requests

from pymacaron.deploy.aws import Aws, AwsError, telling
from pymacaron.deploy.beanstalk_settings import BeanstalkSettings
from pymacaron.deploy.target import PlacementError
from pymacaron.exceptions import Finding, TargetError

if TYPE_CHECKING:
    from mypy_boto3_elasticbeanstalk.type_defs import EnvironmentDescriptionTypeDef as Environment

GONE = frozenset({"Terminating", "Terminated"})
_HEALTHY = frozenset({"Ok", "Info"})
_MOST_EVENTS = 5
_LOG_TIMEOUT_S = 120.0
_RECENT = timedelta(minutes=5)
_FETCH_TIMEOUT_S = 30
# What "tail" brings: a line of dashes, the file's name, a line of dashes, the file's last 100 lines.
_SECTION = re.compile(r"^-{20,}\n(?P<name>/[^\n]+)\n-{20,}\n", re.MULTILINE)
_OWN_LOG = "stdouterr.log"


class Environments:
    """The environments of one application."""

    def __init__(self, aws: Aws, settings: BeanstalkSettings) -> None:
        """Take the clients, and the settings that name the application and say how long to wait."""
        self._aws = aws
        self._settings = settings
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Return the time by AWS's clock, as its last list of environments had it."""
        return datetime.now(UTC) + self._ahead

    def list_present(self) -> list[Environment]:
        """Return the environments that are there, oldest first; terminated ones, which AWS lists for an hour, not."""
        found: list[Environment] = []
        token = ""
        with telling("DescribeEnvironments"):
            while True:
                more = {"NextToken": token} if token else {}
                answer = self._aws.beanstalk.describe_environments(
                    ApplicationName=self._settings.application,
                    IncludeDeleted=False,
                    MaxRecords=1000,
                    **more,
                )
                found += answer["Environments"]
                told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
                if told:
                    self._ahead = parsedate_to_datetime(told) - datetime.now(UTC)
                token = answer.get("NextToken", "")
                if not token:
                    break
        return sorted((one for one in found if one["Status"] not in GONE), key=lambda one: one["DateCreated"])

    def find(self, version: str) -> Environment | None:
        """Return the environment of that version, None without one."""
        return next((one for one in self.list_present() if one.get("VersionLabel") == version), None)

    def find_named(self, name: str) -> Environment | None:
        """Return the latest environment of that name, a terminated one too; None if there never was one."""
        with telling("DescribeEnvironments"):
            answer = self._aws.beanstalk.describe_environments(
                ApplicationName=self._settings.application, EnvironmentNames=[name], IncludeDeleted=True
            )
        return max(answer["Environments"], key=lambda one: one["DateCreated"], default=None)

    def read(self, environment_id: str) -> Environment:
        """Return the environment as it is now, a terminated one too. Raises: PlacementError: AWS does not know it."""
        with telling("DescribeEnvironments"):
            answer = self._aws.beanstalk.describe_environments(EnvironmentIds=[environment_id], IncludeDeleted=True)
        if not answer["Environments"]:
            found = f"environment {environment_id} is not there any more"
            raise PlacementError(Finding("aws-beanstalk", found, "Deploy again"))
        return answer["Environments"][0]

    def wait_until_healthy(self, environment_id: str) -> Environment:
        """Return the environment once it is Ready and Green.

        Raises: PlacementError: it is Red for `aws_settle_time` seconds, terminates, or time is up; with Beanstalk's
        causes, its ERROR events and the last lines of its log.
        """
        started = self.now()
        end_s = time.monotonic() + self._settings.aws_start_timeout
        red_since_s: float | None = None
        while True:
            one = self.read(environment_id)
            now_s = time.monotonic()
            if one["Status"] == "Ready" and (one.get("Health") == "Green" or one.get("HealthStatus") in _HEALTHY):
                return one
            is_red = one["Status"] == "Ready" and one.get("Health") == "Red"
            red_since_s = (red_since_s or now_s) if is_red else None
            if one["Status"] in GONE:
                raise self.explain(one, f"it is {one['Status']}", started)
            if red_since_s is not None and now_s - red_since_s >= self._settings.aws_settle_time:
                raise self.explain(one, f"its health is Red, {one.get('HealthStatus', 'without a status')}", started)
            if now_s >= end_s:
                state = f"{one['Status']} and {one.get('Health', 'Grey')}"
                raise self.explain(one, f"after {self._settings.aws_start_timeout:g} s it is {state}", started)
            time.sleep(self._settings.aws_poll_interval)

    def wait_until(self, environment_id: str, is_reached: Callable[[Environment], bool], what: str) -> Environment:
        """Return the environment once *is_reached* says so. Raises: PlacementError: time is up; *what* was awaited."""
        started = self.now()
        end_s = time.monotonic() + self._settings.aws_start_timeout
        while not is_reached(one := self.read(environment_id)):
            if time.monotonic() >= end_s:
                raise self.explain(one, f"it is {one['Status']}, and {what} was awaited", started)
            time.sleep(self._settings.aws_poll_interval)
        return one

    def read_logs(self, environment_id: str, lines: int) -> list[str]:
        """Return the last *lines* that the containers of all its instances wrote.

        Raises: TargetError: Beanstalk does not give them.
        """
        asked = datetime.now(UTC)
        with telling("RequestEnvironmentInfo"):
            before = {info["Message"] for info in self._read_info(environment_id)}
            self._aws.beanstalk.request_environment_info(EnvironmentId=environment_id, InfoType="tail")
            end_s = time.monotonic() + _LOG_TIMEOUT_S
            while True:
                new = [info for info in self._read_info(environment_id) if info["Message"] not in before]
                if new or time.monotonic() >= end_s:
                    break
                time.sleep(min(self._settings.aws_poll_interval, 2))
        if not new:
            found = f"Beanstalk brought no log of {environment_id} since {asked:%H:%M:%S}"
            raise PlacementError(Finding("aws-beanstalk", found, "Read it in the console"))
        texts = [_fetch(info["Message"]) for info in new]
        each = max(1, lines // len(texts))
        return [line for text in texts for line in _find_own_lines(text)[-each:]]

    def _read_info(self, environment_id: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a list of the stubs' type
        answer = self._aws.beanstalk.retrieve_environment_info(EnvironmentId=environment_id, InfoType="tail")
        return [info for info in answer.get("EnvironmentInfo", []) if info.get("Message")]

    def explain(self, one: Environment, found: str, started: datetime | None = None) -> PlacementError:
        """Return the error with all that Beanstalk says about it; what cannot be had is left out.

        started: events since then, and since the environment was made, are told; None: those of the last minutes.
        """
        since = min(started, one["DateCreated"]) if started else self.now() - _RECENT
        reasons = [found]
        try:
            reasons += self._read_causes(one["EnvironmentId"])
            reasons += self._read_events(one["EnvironmentId"], since)
        except AwsError as error:
            reasons.append(f"its causes and events cannot be read: {error.findings[0].found}")
        lines: list[str] = []
        if one["Status"] not in GONE:
            try:
                lines = self.read_logs(one["EnvironmentId"], 50)
            except TargetError as error:
                reasons.append(error.findings[0].found)
        where = f"aws-beanstalk: environment {one['EnvironmentName']}"
        fix = "Mend what its log says" if lines else "Look at the environment's events and logs in the console"
        return PlacementError(Finding(where, "; ".join(reasons), fix), lines)

    def _read_causes(self, environment_id: str) -> list[str]:
        with telling("DescribeEnvironmentHealth"):
            try:
                answer = self._aws.beanstalk.describe_environment_health(
                    EnvironmentId=environment_id, AttributeNames=["Causes", "HealthStatus"]
                )
            except self._aws.beanstalk.exceptions.InvalidRequestException:
                return []  # basic health reporting has no causes
        return [f"cause: {cause.rstrip('.')}" for cause in answer.get("Causes", [])]

    def _read_events(self, environment_id: str, since: datetime) -> list[str]:
        with telling("DescribeEvents"):
            answer = self._aws.beanstalk.describe_events(
                EnvironmentId=environment_id, Severity="ERROR", StartTime=since, MaxRecords=_MOST_EVENTS
            )
        oldest_first = reversed(answer["Events"])
        return [f"{event['Severity']} event: {event['Message'].rstrip('.')}" for event in oldest_first]


def _fetch(url: str) -> str:
    try:
        answer = requests.get(url, timeout=_FETCH_TIMEOUT_S)
        answer.raise_for_status()
    except requests.RequestException as error:
        found = f"the log that Beanstalk made cannot be fetched: {type(error).__name__}"
        raise PlacementError(Finding("aws-beanstalk", found, "Read it in the console")) from None
    return answer.content.decode(errors="replace")


def _find_own_lines(text: str) -> list[str]:
    """Return the lines of the containers' own output; all lines where no file is called so."""
    marks = list(_SECTION.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    own = [text[mark.end() : end] for mark, end in zip(marks, ends, strict=True) if mark["name"].endswith(_OWN_LOG)]
    return "\n".join(own or [text]).strip("\n").splitlines()
