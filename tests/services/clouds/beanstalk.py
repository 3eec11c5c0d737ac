"""An Elastic Beanstalk whose instances are containers of this machine; S3, ECR and secrets beside it are moto's.

It speaks the Query protocol by botocore's model of the service, and does what the service's documents say: bundles are
fetched from S3, docker-compose.yml is read, names are swapped as DNS does it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from clouds import engine
from clouds.beanstalk_instances import Instances, Launched, LaunchError, Stores
from clouds.loopback import Forwarder
from clouds.query_protocol import QueryError

ACCOUNT = "123456789012"
STACKS = (
    "64bit Amazon Linux 2 v4.9.9 running Docker",
    "64bit Amazon Linux 2023 v4.6.0 running Docker",
    "64bit Amazon Linux 2023 v4.13.1 running Docker",
    "64bit Amazon Linux 2023 v4.9.3 running Docker",
    "64bit Amazon Linux 2023 v4.99.0 running ECS",
    "64bit Amazon Linux 2023 v4.20.0 running Python 3.13",
)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\Z")
_MUST_BE_READY = "Environment named {} is in an invalid state for this operation. Must be Ready."
_SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
Options = dict[tuple[str, str], str]
Answer = dict[str, Any]


@dataclass
class Version:
    """An application version."""

    application: str
    label: str
    description: str
    bucket: str
    key: str
    made: datetime


@dataclass
class Environment:
    """An environment; prefix: the part of the CNAME before the region."""

    name: str
    environment_id: str
    version: Version
    stack: str
    prefix: str
    options: Options
    made: datetime
    changed: datetime
    status: str = "Launching"
    health: str = "Grey"
    causes: list[str] = field(default_factory=list)
    launched: Launched | None = None
    tails: list[tuple[datetime, str]] = field(default_factory=list)


class Beanstalk:
    """The state of one region. pace_s: how long changes take. dns_ttl_s: how long callers keep a name's old address.

    page_size: most environments in one answer. loses: actions that are done, but whose answer never arrives, once.
    """

    def __init__(
        self, stores: Stores, *, region: str = "eu-west-1", pace_s: float = 0.3, dns_ttl_s: float = 0.5
    ) -> None:
        """Take where S3, ECR and secrets are."""
        self.region = region
        self.pace_s = pace_s
        self.dns_ttl_s = dns_ttl_s
        self.page_size = 100
        self.environments: list[Environment] = []
        self.versions: list[Version] = []
        self.events: list[tuple[datetime, str, str, str]] = []
        self.swaps = 0
        self._instances = Instances(stores)
        self._stores = stores
        self._names: dict[str, Forwarder] = {}
        self._lock = threading.RLock()
        self._threads: list[threading.Thread] = []

    def answer(self, action: str, parameters: Mapping[str, Any]) -> Answer:
        """Do what the action says. Raises QueryError."""
        method: Callable[..., Answer] | None = getattr(self, f"_do_{_to_snake(action)}", None)
        if method is None:
            raise QueryError("InvalidAction", f"this server cannot do {action}", 501)
        with self._lock:
            return method(**{_to_snake(name): value for name, value in parameters.items()})

    def find_address(self, prefix: str) -> str:
        """Return where the name is: ``127.0.0.1:PORT`` stands for ``PREFIX.REGION.elasticbeanstalk.com``."""
        return self._name(prefix).address

    def close(self) -> None:
        """Remove all containers, and stop what listens."""
        for thread in self._threads:
            thread.join(30)
        for one in self.environments:
            if one.launched is not None and one.status != "Terminated":
                self._instances.stop(one.launched, stop_timeout_s=0)
        for forwarder in self._names.values():
            forwarder.close()
        engine.remove_images()

    # Applications and versions

    def _do_create_storage_location(self) -> Answer:
        bucket = f"elasticbeanstalk-{self.region}-{ACCOUNT}"
        self._stores.make_bucket(bucket)
        return {"S3Bucket": bucket}

    def _do_list_available_solution_stacks(self) -> Answer:
        return {
            "SolutionStacks": list(STACKS),
            "SolutionStackDetails": [{"SolutionStackName": name} for name in STACKS],
        }

    def _do_create_application_version(
        self,
        application_name: str,
        version_label: str,
        source_bundle: Mapping[str, str],
        description: str = "",
        auto_create_application: bool = False,
    ) -> Answer:
        if not auto_create_application and not any(one.application == application_name for one in self.versions):
            raise QueryError("InvalidParameterValue", f"No Application named '{application_name}' found.")
        if self._find_version(application_name, version_label):
            raise QueryError("InvalidParameterValue", f"Application Version {version_label} already exists.")
        bucket, key = source_bundle["S3Bucket"], source_bundle["S3Key"]
        try:
            self._stores.s3.head_object(Bucket=bucket, Key=key)
        except ClientError:
            raise QueryError(
                "InvalidParameterValue", f"Unable to download from S3 location (Bucket: {bucket} Key: {key})."
            ) from None
        version = Version(application_name, version_label, description, bucket, key, _now())
        self.versions.append(version)
        return {"ApplicationVersion": _describe_version(version)}

    def _do_describe_application_versions(
        self, application_name: str = "", version_labels: tuple[str, ...] = ()
    ) -> Answer:
        if application_name and not any(one.application == application_name for one in self.versions):
            raise QueryError("InvalidParameterValue", f"No Application named '{application_name}' found.")
        found = [
            _describe_version(one)
            for one in self.versions
            if application_name in {"", one.application} and (not version_labels or one.label in version_labels)
        ]
        return {"ApplicationVersions": found}

    def _do_delete_application_version(
        self,
        application_name: str,
        version_label: str,
        delete_source_bundle: bool = False,
    ) -> Answer:
        version = self._find_version(application_name, version_label)
        if version is None:
            raise QueryError("InvalidParameterValue", f"No Application Version named '{version_label}' found.")
        if any(one.version is version and one.status != "Terminated" for one in self.environments):
            message = f"Unable to delete application version {version_label} because it is deployed to an environment."
            raise QueryError("OperationInProgressFailure", message)
        self.versions.remove(version)
        if delete_source_bundle:
            self._stores.s3.delete_object(Bucket=version.bucket, Key=version.key)
        return {}

    # Environments

    def _do_check_dns_availability(self, cname_prefix: str) -> Answer:
        is_free = all(one.prefix != cname_prefix or one.status == "Terminated" for one in self.environments)
        return {"Available": is_free, "FullyQualifiedCNAME": self._name(cname_prefix).address}

    def _do_create_environment(
        self,
        application_name: str,
        environment_name: str,
        version_label: str,
        solution_stack_name: str,
        option_settings: tuple[Mapping[str, str], ...] = (),
        cname_prefix: str = "",
        tier: Mapping[str, str] | None = None,
        tags: tuple[Mapping[str, str], ...] = (),
    ) -> Answer:
        version = self._find_version(application_name, version_label)
        if version is None:
            raise QueryError("InvalidParameterValue", f"No Application Version named '{version_label}' found.")
        if not _NAME.match(environment_name):
            raise QueryError(
                "InvalidParameterValue", f"Value {environment_name} at 'EnvironmentName' failed to satisfy constraint"
            )
        if any(one.name == environment_name and one.status != "Terminated" for one in self.environments):
            raise QueryError("InvalidParameterValue", f"Environment {environment_name} already exists.")
        if solution_stack_name not in STACKS:
            raise QueryError("InvalidParameterValue", f"No Solution Stack named '{solution_stack_name}' found.")
        if tier and tier != {"Name": "WebServer", "Type": "Standard"}:
            raise QueryError("InvalidParameterValue", f"no tier {tier}")
        if any(tag["Key"].startswith(("aws:", "elasticbeanstalk:")) for tag in tags):
            raise QueryError("InvalidParameterValue", "tag keys are reserved")
        if cname_prefix and not self._do_check_dns_availability(cname_prefix)["Available"]:
            raise QueryError(
                "InvalidParameterValue",
                f"DNS name ({cname_prefix}.{self.region}.elasticbeanstalk.com) is not available.",
            )
        number = len(self.environments) + 1
        options = {(one["Namespace"], one["OptionName"]): one["Value"] for one in option_settings}
        prefix = cname_prefix or f"{environment_name}.eba-{number:08x}"
        now = _now()
        one = Environment(environment_name, f"e-{number:010x}", version, solution_stack_name, prefix, options, now, now)
        self.environments.append(one)
        self._tell(one, "INFO", "createEnvironment is starting.")
        self._later(self._launch, one)
        return _describe(one, self._name(prefix).address)

    def _do_describe_environments(
        self,
        application_name: str = "",
        version_label: str = "",
        environment_ids: tuple[str, ...] = (),
        environment_names: tuple[str, ...] = (),
        include_deleted: bool = True,
        max_records: int = 1000,
        next_token: str = "0",
    ) -> Answer:
        found = [
            one
            for one in self.environments
            if application_name in {"", one.version.application}
            and version_label in {"", one.version.label}
            and (not environment_ids or one.environment_id in environment_ids)
            and (not environment_names or one.name in environment_names)
            and (include_deleted or one.status != "Terminated")
        ]
        first, size = int(next_token), min(max_records, self.page_size)
        for one in found:
            self._look_after(one)
        answer: Answer = {
            "Environments": [_describe(one, self._name(one.prefix).address) for one in found[first : first + size]]
        }
        if len(found) > first + size:
            answer["NextToken"] = str(first + size)
        return answer

    def _do_swap_environment_cnames(self, source_environment_id: str, destination_environment_id: str) -> Answer:
        source, destination = self._find(source_environment_id), self._find(destination_environment_id)
        for one in (source, destination):
            if one.status != "Ready":
                raise QueryError("InvalidParameterValue", _MUST_BE_READY.format(one.name))
        self.swaps += 1
        for one in (source, destination):
            one.status = "Updating"
            self._tell(one, "INFO", "swapEnvironmentCNAMEs is starting.")
        self._later(self._swap, source, destination)
        return {}

    def _do_terminate_environment(
        self,
        environment_id: str,
        terminate_resources: bool = True,
    ) -> Answer:
        one = self._find(environment_id)
        if one.status != "Ready":
            raise QueryError("InvalidParameterValue", _MUST_BE_READY.format(one.name))
        if not terminate_resources:
            raise QueryError("InvalidParameterValue", "this server leaves nothing running")
        one.status, one.changed = "Terminating", _now()
        self._tell(one, "INFO", "terminateEnvironment is starting.")
        self._later(self._terminate, one)
        return _describe(one, self._name(one.prefix).address)

    def _do_validate_configuration_settings(
        self, application_name: str, option_settings: tuple[Mapping[str, str], ...], environment_name: str = ""
    ) -> Answer:
        if not any(
            one.name == environment_name and one.version.application == application_name for one in self.environments
        ):
            raise QueryError(
                "InvalidParameterValue", f"No Environment found for EnvironmentName = '{environment_name}'."
            )
        known = "aws:elasticbeanstalk:", "aws:autoscaling:", "aws:ec2:", "aws:elbv2:", "aws:elb:"
        messages = [
            {
                "Severity": "error",
                "Namespace": one["Namespace"],
                "OptionName": one["OptionName"],
                "Message": f"Unknown or duplicate parameter: {one['OptionName']}",
            }
            for one in option_settings
            if not one["Namespace"].startswith(known)
        ]
        return {"Messages": messages}

    # What is said about environments

    def _do_describe_events(
        self, environment_id: str, severity: str = "TRACE", start_time: datetime | None = None, max_records: int = 1000
    ) -> Answer:
        one = self._find(environment_id)
        least = _SEVERITIES.index(severity)
        found = [
            {
                "EventDate": when,
                "Message": message,
                "ApplicationName": one.version.application,
                "EnvironmentName": one.name,
                "Severity": level,
            }
            for when, subject, level, message in reversed(self.events)
            if subject == environment_id
            and _SEVERITIES.index(level) >= least
            and (start_time is None or when >= start_time.astimezone(UTC))
        ]
        return {"Events": found[:max_records]}

    def _do_describe_environment_health(self, environment_id: str, attribute_names: tuple[str, ...] = ()) -> Answer:
        one = self._find(environment_id)
        if one.options.get(("aws:elasticbeanstalk:healthreporting:system", "SystemType")) != "enhanced":
            message = "DescribeEnvironmentHealth is not supported."
            raise QueryError("InvalidRequestException", message)
        self._look_after(one)
        answer: Answer = {"EnvironmentName": one.name}
        if "Causes" in attribute_names:
            answer["Causes"] = list(one.causes)
        if "HealthStatus" in attribute_names:
            answer["HealthStatus"] = _status_of(one)
        return answer

    def _do_describe_environment_resources(self, environment_id: str) -> Answer:
        one = self._find(environment_id)
        count = len(one.launched.containers) if one.launched else 0
        instances = [{"Id": f"i-{number:017x}"} for number in range(count)]
        return {"EnvironmentResources": {"EnvironmentName": one.name, "Instances": instances}}

    def _do_request_environment_info(self, environment_id: str, info_type: str) -> Answer:
        one = self._find(environment_id)
        if one.status != "Ready" or info_type != "tail":
            raise QueryError("InvalidParameterValue", _MUST_BE_READY.format(one.name))
        self._later(self._write_tail, one)
        return {}

    def _do_retrieve_environment_info(self, environment_id: str, info_type: str) -> Answer:
        one = self._find(environment_id)
        return {
            "EnvironmentInfo": [
                {"InfoType": info_type, "Ec2InstanceId": "i-00000000000000000", "SampleTimestamp": when, "Message": url}
                for when, url in one.tails
            ]
        }

    # What happens in the background

    def _launch(self, one: Environment) -> None:
        try:
            launched = self._instances.start(one.version.bucket, one.version.key, one.options)
        except LaunchError as error:
            launched, causes, message = error.launched, [str(error)], str(error)
        else:
            causes, message = [], ""
        with self._lock:
            one.launched, one.causes, one.changed = launched, causes, _now()
            one.health, one.status = "Red" if causes else "Green", "Ready"
            self._point(one)
            if causes:
                self._tell(one, "ERROR", f"Instance deployment failed: {message}")
                self._tell(one, "ERROR", "Create environment operation is complete, but with errors.")
            else:
                self._tell(one, "INFO", f"Successfully launched environment: {one.name}")

    def _swap(self, source: Environment, destination: Environment) -> None:
        with self._lock:
            source.prefix, destination.prefix = destination.prefix, source.prefix
            for one in (source, destination):
                one.status, one.changed = "Ready", _now()
                self._tell(
                    one, "INFO", f"Completed swapping CNAMEs for environments '{source.name}' and '{destination.name}'."
                )
        time.sleep(self.dns_ttl_s)
        with self._lock:
            self._point(source)
            self._point(destination)

    def _terminate(self, one: Environment) -> None:
        if one.launched is not None:
            self._instances.stop(one.launched)
        with self._lock:
            one.status, one.health, one.changed = "Terminated", "Grey", _now()
            self._name(one.prefix).point_to(())
            self._tell(one, "INFO", "terminateEnvironment completed successfully.")

    def _write_tail(self, one: Environment) -> None:
        text = self._instances.write_tail(one.launched) if one.launched else ""
        bucket = self._do_create_storage_location()["S3Bucket"]
        key = f"resources/environments/logs/tail/{one.environment_id}/{len(one.tails)}.txt"
        self._stores.s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
        url = self._stores.s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, ExpiresIn=600)
        with self._lock:
            one.tails.append((_now(), url))

    def _look_after(self, one: Environment) -> None:
        """See whether the containers still run, as the health agent of an instance does."""
        if one.status == "Ready" and one.health == "Green" and one.launched is not None:
            ended = [box for box in one.launched.containers if engine.read_state(box)["Status"] != "running"]
            if ended:
                one.health, one.causes = "Red", ["100.0 % of the requests are failing with HTTP 5xx."]
                self._tell(one, "WARN", "Environment health has transitioned from Ok to Severe.")

    def _point(self, one: Environment) -> None:
        if one.launched is not None and one.status != "Terminated":
            self._name(one.prefix).point_to([one.launched.balancer.port])

    def _later(self, work: Callable[..., None], *arguments: object) -> None:
        def run() -> None:
            time.sleep(self.pace_s)
            work(*arguments)

        thread = threading.Thread(target=run, name=work.__name__, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _tell(self, one: Environment, severity: str, message: str) -> None:
        self.events.append((_now(), one.environment_id, severity, message))

    def _name(self, prefix: str) -> Forwarder:
        return self._names.get(prefix) or self._names.setdefault(prefix, Forwarder())

    def _find(self, environment_id: str) -> Environment:
        for one in self.environments:
            if one.environment_id == environment_id:
                return one
        raise QueryError("InvalidParameterValue", f"No Environment found for EnvironmentId = '{environment_id}'.")

    def _find_version(self, application: str, label: str) -> Version | None:
        return next((one for one in self.versions if (one.application, one.label) == (application, label)), None)


def _status_of(one: Environment) -> str:
    return {"Green": "Ok", "Red": "Severe", "Grey": "Pending"}[one.health]


def _describe_version(one: Version) -> Answer:
    return {
        "ApplicationName": one.application,
        "VersionLabel": one.label,
        "Description": one.description,
        "SourceBundle": {"S3Bucket": one.bucket, "S3Key": one.key},
        "DateCreated": one.made,
        "DateUpdated": one.made,
        "Status": "Unprocessed",
    }


def _describe(one: Environment, name: str) -> Answer:
    answer: Answer = {
        "EnvironmentName": one.name,
        "EnvironmentId": one.environment_id,
        "ApplicationName": one.version.application,
        "VersionLabel": one.version.label,
        "SolutionStackName": one.stack,
        "CNAME": name,
        "DateCreated": one.made,
        "DateUpdated": one.changed,
        "Status": one.status,
        "Health": one.health,
        "HealthStatus": _status_of(one),
        "AbortableOperationInProgress": False,
        "Tier": {"Name": "WebServer", "Type": "Standard", "Version": "1.0"},
    }
    if one.launched is not None:
        answer["EndpointURL"] = one.launched.balancer.address
    return answer


def _to_snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.replace("CNAMEs", "Cnames")).lower()


def _now() -> datetime:
    return datetime.now(UTC)
