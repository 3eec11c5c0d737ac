"""Starts a release as an environment of Elastic Beanstalk: bundle, application version, environment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from pymacaron.deploy.answering import wait_until_answering
from pymacaron.deploy.aws import Aws, AwsError, read_code, telling
from pymacaron.deploy.beanstalk_bundle import (
    HEALTH_PATH,
    PASSWORD_KEY,
    Options,
    choose_stack,
    name_environment,
    read_bundle,
    write_bundle,
)
from pymacaron.deploy.beanstalk_environments import GONE, Environments
from pymacaron.deploy.beanstalk_settings import BeanstalkSettings
from pymacaron.deploy.ecr import is_ecr
from pymacaron.deploy.s3_shelf import S3Shelf
from pymacaron.deploy.target import PlacementError, Release
from pymacaron.exceptions import ConfigError, Finding

if TYPE_CHECKING:
    from mypy_boto3_elasticbeanstalk.type_defs import ConfigurationOptionSettingTypeDef as Option
    from mypy_boto3_elasticbeanstalk.type_defs import EnvironmentDescriptionTypeDef as Environment

_BUNDLES = "bundles/"
_TAG = "pymacaron"


class Stage:
    """Makes the environments of one application; everything that is there already is used again."""

    def __init__(self, aws: Aws, settings: BeanstalkSettings, environments: Environments, shelf: S3Shelf) -> None:
        """Take what it works with; bundles lie on the *shelf*."""
        self._aws = aws
        self._settings = settings
        self._environments = environments
        self._shelf = shelf

    def find_stack(self) -> str:
        """Return the newest Docker platform that AWS offers. Raises: PlacementError: it offers none."""
        with telling("ListAvailableSolutionStacks"):
            stacks = self._aws.beanstalk.list_available_solution_stacks()["SolutionStacks"]
        stack = choose_stack(stacks)
        if stack is None:
            found = f"no Docker platform on Amazon Linux 2023 among the {len(stacks)} of region {self._aws.region}"
            raise PlacementError(Finding("aws-beanstalk", found, "Choose another aws_region"))
        return stack

    def find_secrets(self) -> dict[str, str]:
        """Return the ARN of each variable in `env_secrets`: from `aws_secrets`, else of the secret that is so called.

        In Secrets Manager ``<name of the service>/<variable>`` goes before ``<variable>``. Values are never asked for.
        Raises: ConfigError: with every variable that has none.
        """
        found: dict[str, str] = {}
        missing = []
        for name in self._settings.env_secrets:
            arn = self._settings.aws_secrets.get(name) or self._look_up(name)
            if arn is None:
                fix = f"Run: aws secretsmanager create-secret --name {name}, or set aws_secrets.{name} to an ARN"
                missing.append(Finding(f"{self._settings.where}: env_secrets", f"AWS has no secret {name}", fix))
            else:
                found[name] = arn
        if missing:
            raise ConfigError(missing)
        return found

    def _look_up(self, name: str) -> str | None:
        for candidate in (f"{self._settings.application}/{name}", name):
            with telling("DescribeSecret"):
                try:
                    return self._aws.secrets.describe_secret(SecretId=candidate)["ARN"]
                except self._aws.secrets.exceptions.ResourceNotFoundException:
                    continue
        return None

    def make_version(self, release: Release) -> None:
        """Make the application version of *release* unless it is there. Raises: PlacementError: with another image."""
        there = self.find_release(release.version)
        if there is not None:
            if there.image != release.image:
                found = f"version {release.version} is there already, with the image {there.image}"
                raise PlacementError(Finding("aws-beanstalk", found, "Give each release a version of its own"))
            return
        key = f"{_BUNDLES}{release.version}.zip"
        bundle = write_bundle(release, self._find_password(release.image))
        with telling("PutObject"):
            self._aws.s3.put_object(Bucket=self._shelf.bucket, Key=self._shelf.prefix + key, Body=bundle)
        with telling("CreateApplicationVersion"):
            try:
                self._aws.beanstalk.create_application_version(
                    ApplicationName=self._settings.application,
                    VersionLabel=release.version,
                    Description=f"revision {release.revision or 'unknown'}"[:200],
                    SourceBundle={"S3Bucket": self._shelf.bucket, "S3Key": self._shelf.prefix + key},
                    AutoCreateApplication=True,
                )
            except ClientError as error:
                if "already exists" not in str(error):  # this call was made before, and its answer was lost
                    raise

    def _find_password(self, image: str) -> tuple[str, str] | None:
        """Return bucket and key of the registry's password, as pymacaron 2 has it; None: no such file, or ECR."""
        if is_ecr(image.partition("/")[0]) or not self._settings.bucket:
            return None
        with telling("HeadObject"):
            try:
                self._aws.s3.head_object(Bucket=self._settings.bucket, Key=PASSWORD_KEY)
            except ClientError as error:
                if read_code(error) in {"404", "NoSuchKey", "NotFound"}:
                    return None
                raise
        return self._settings.bucket, PASSWORD_KEY

    def find_release(self, version: str) -> Release | None:
        """Return the release of an application version; None: there is none, or somebody else made it."""
        with telling("DescribeApplicationVersions"):
            try:
                answer = self._aws.beanstalk.describe_application_versions(
                    ApplicationName=self._settings.application, VersionLabels=[version]
                )
            except ClientError as error:
                if "No Application named" in str(error):
                    return None
                raise
        for one in answer["ApplicationVersions"]:
            source = one.get("SourceBundle", {})
            if source.get("S3Bucket") != self._shelf.bucket or not source.get("S3Key", "").startswith(
                self._shelf.prefix
            ):
                return None
            found = self._shelf.get(source["S3Key"].removeprefix(self._shelf.prefix))
            return read_bundle(found[0]) if found else None
        return None

    def make_environment(self, release: Release, options: Options, prefix: str | None) -> Environment:
        """Start the environment of *release*. prefix: first part of its CNAME; None: AWS chooses one.

        Raises: PlacementError: the name is taken by an environment of another version, or AWS refuses.
        """
        name = name_environment(self._settings.application, release.version)
        former = self._environments.find_named(name)
        if former is not None and former["Status"] == "Terminating":
            self._environments.wait_until(
                former["EnvironmentId"], lambda one: one["Status"] == "Terminated", "its end, to use its name again"
            )
        settings: list[Option] = [
            {"Namespace": space, "OptionName": option, "Value": value} for (space, option), value in options.items()
        ]
        more = {"CNAMEPrefix": prefix} if prefix else {}
        with telling("CreateEnvironment"):
            try:
                self._aws.beanstalk.create_environment(
                    ApplicationName=self._settings.application,
                    EnvironmentName=name,
                    VersionLabel=release.version,
                    SolutionStackName=self.find_stack(),
                    Tier={"Name": "WebServer", "Type": "Standard"},
                    Tags=[{"Key": _TAG, "Value": release.version}],
                    OptionSettings=settings,
                    **more,  # type: ignore[arg-type]  # the stubs want each keyword by itself
                )
            except ClientError as error:
                if "already exists" not in str(error):  # made by this very call, whose answer was lost
                    raise
        made = self._environments.find(release.version)
        if made is None:
            found = f"an environment called {name} is there, of another version"
            raise PlacementError(Finding("aws-beanstalk", found, "Terminate it"))
        return made

    def remove(self, version: str) -> None:
        """Terminate the version's environment and delete its bundle; nothing happens if they are gone."""
        end_s = time.monotonic() + self._settings.aws_start_timeout
        one = self._environments.find(version)
        while one is not None and one["Status"] not in GONE:
            try:
                with telling("TerminateEnvironment"):
                    self._aws.beanstalk.terminate_environment(
                        EnvironmentId=one["EnvironmentId"], TerminateResources=True
                    )
            except AwsError as error:
                # Refused while it is being made or changed, and if this call was made before and its answer was lost.
                if error.code != "InvalidParameterValue" or time.monotonic() >= end_s:
                    raise
                time.sleep(self._settings.aws_poll_interval)
            one = self._environments.read(one["EnvironmentId"])
        name = name_environment(self._settings.application, version)
        last = self._environments.find_named(name)
        if last is not None and last["Status"] == "Terminating":
            self._environments.wait_until(last["EnvironmentId"], lambda one: one["Status"] == "Terminated", "its end")
        with telling("DeleteApplicationVersion"):
            try:
                self._aws.beanstalk.delete_application_version(
                    ApplicationName=self._settings.application, VersionLabel=version, DeleteSourceBundle=True
                )
            except ClientError as error:
                if read_code(error) != "InvalidParameterValue":
                    raise

    def wait_until_answering(self, url: str, name: str) -> None:
        """Wait until the environment *name* answers at *url*, which its health does not say yet: DNS comes later.

        Raises: PlacementError: time is up.
        """
        limit_s, pause_s = self._settings.aws_start_timeout, self._settings.aws_poll_interval
        seen = wait_until_answering(lambda: url, timeout_s=limit_s, pause_s=pause_s)
        if seen:
            found = f"it is healthy, and GET {url}{HEALTH_PATH} is not answered: {seen}"
            fix = "Check the network between this machine and it"
            raise PlacementError(Finding(f"aws-beanstalk: environment {name}", found, fix))
