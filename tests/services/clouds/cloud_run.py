"""Cloud Run on loopback: its Admin API v2 over gRPC, revisions that are real containers, traffic that is really split.

It refuses what Cloud Run refuses, as far as its documentation says: traffic that is not 100 % together, tags and names
that are too long, reserved annotations and variables, a stale etag, deleting what serves. Secret Manager and Cloud
Logging answer what a deploy asks them.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc
from google.cloud import run_v2
from google.cloud.logging_v2.types import ListLogEntriesRequest, ListLogEntriesResponse, LogEntry
from google.cloud.secretmanager_v1 import types as secret_types

from clouds import engine
from clouds.google_rpc import GoogleRpcServer, Method, Operations, Refusal
from clouds.weighted_proxy import WeightedProxy

INVALID = grpc.StatusCode.INVALID_ARGUMENT
MISSING = grpc.StatusCode.NOT_FOUND
_LATEST = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
_REVISION = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
_SUCCEEDED = run_v2.Condition.State.CONDITION_SUCCEEDED
_FAILED = run_v2.Condition.State.CONDITION_FAILED
_RECONCILING = run_v2.Condition.State.CONDITION_RECONCILING
_RESERVED = ("run.googleapis.com/", "cloud.googleapis.com/", "serving.knative.dev/", "autoscaling.knative.dev/")
_CHANGEABLE = {"template", "traffic", "annotations", "labels", "description", "scaling", "ingress"}
_START_TIMEOUT_S = 120.0


@dataclass
class _Revision:
    message: Any
    container: engine.Container | None = None
    last_lines: list[str] = field(default_factory=list)


@dataclass
class _Service:
    message: Any
    proxy: WeightedProxy
    revisions: dict[str, _Revision] = field(default_factory=dict)


class CloudRunServer:
    """Cloud Run, Secret Manager and Cloud Logging of one project. secrets: name -> its versions' values, from 1."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.secrets: dict[str, list[str]] = {}
        self._services: dict[str, _Service] = {}
        self._lock = threading.RLock()
        self._reconciling = threading.Lock()
        self._etags = itertools.count(1)
        self._operations = Operations()
        self._rpc = GoogleRpcServer({**self._operations.methods(), **self._methods()})

    @property
    def endpoint(self) -> str:
        """Return its address, as gcp_endpoints has it."""
        return self._rpc.endpoint

    @property
    def requests(self) -> list[tuple[str, bytes]]:
        """Return (method, bytes) of everything that was asked."""
        return self._rpc.requests

    def stop(self) -> None:
        """Stop answering, and remove all containers."""
        self._rpc.stop()
        self._operations.join()
        for service in self._services.values():
            service.proxy.stop()
            for revision in service.revisions.values():
                self._remove(revision)
        engine.remove_images()

    def touch(self, path: str) -> None:
        """Change the service's description, as an operator may at any time: its etag is another one then."""
        service = self._services[path].message
        service.description += "."
        service.etag = f'"{next(self._etags)}"'

    def put_before(self, revision: str, url: str) -> None:
        """Let *url* be that of the revision's tag: what is there stands for instances of it."""
        for service in self._services.values():
            for status in service.message.traffic_statuses:
                if status.tag and status.revision == revision:
                    status.uri = url

    def _methods(self) -> dict[str, Method]:
        services, revisions = "/google.cloud.run.v2.Services/", "/google.cloud.run.v2.Revisions/"
        return {
            services + "GetService": Method(run_v2.GetServiceRequest, lambda request: self._get(request.name).message),
            services + "CreateService": Method(run_v2.CreateServiceRequest, self._create),
            services + "UpdateService": Method(run_v2.UpdateServiceRequest, self._update),
            services + "DeleteService": Method(run_v2.DeleteServiceRequest, self._delete),
            revisions + "ListRevisions": Method(run_v2.ListRevisionsRequest, self._list_revisions),
            revisions + "DeleteRevision": Method(run_v2.DeleteRevisionRequest, self._delete_revision),
            "/google.cloud.secretmanager.v1.SecretManagerService/GetSecretVersion": Method(
                secret_types.GetSecretVersionRequest, self._get_secret_version
            ),
            "/google.logging.v2.LoggingServiceV2/ListLogEntries": Method(ListLogEntriesRequest, self._list_log_entries),
        }

    def _get(self, path: str) -> _Service:
        with self._lock:
            if path not in self._services:
                raise Refusal(MISSING, f"Resource '{path.rpartition('/')[2]}' of kind 'SERVICE' does not exist.")
            return self._services[path]

    def _create(self, request: Any) -> Any:
        path = f"{request.parent}/services/{request.service_id}"
        with self._lock:
            if path in self._services:
                raise Refusal(grpc.StatusCode.ALREADY_EXISTS, f"Resource '{request.service_id}' already exists.")
            if not re.fullmatch(r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?", request.service_id):
                raise Refusal(INVALID, f"service_id: {request.service_id!r} is no name of a service")
            message = run_v2.Service(request.service)
            message.name = path
            _check(message, existing=set())
            if request.validate_only:
                return self._operations.finish(request.parent, message)
            proxy = WeightedProxy()
            message.uri = proxy.url
            service = self._services[path] = _Service(message, proxy)
            self._accept(service)
        return self._operations.start(request.parent, lambda: self._reconcile(service))

    def _update(self, request: Any) -> Any:
        path = request.service.name
        parent = path.partition("/services/")[0]
        with self._lock:
            service = self._get(path)
            if request.service.etag and request.service.etag != service.message.etag:
                raise Refusal(grpc.StatusCode.ABORTED, f"Conflict for resource '{path}': the etag is stale")
            paths = list(request.update_mask.paths) or sorted(_CHANGEABLE)
            if set(paths) - _CHANGEABLE:
                raise Refusal(INVALID, f"update_mask: unknown paths {set(paths) - _CHANGEABLE}")
            changed = run_v2.Service(service.message)
            for name in paths:
                setattr(changed, name, getattr(request.service, name))
            _check(changed, existing=set(service.revisions))
            same_name = changed.template.revision == service.message.template.revision
            if same_name and changed.template != service.message.template:
                raise Refusal(grpc.StatusCode.ALREADY_EXISTS, f"Revision named '{changed.template.revision}' exists.")
            if request.validate_only:
                return self._operations.finish(parent, changed)
            service.message = changed
            self._accept(service)
        return self._operations.start(parent, lambda: self._reconcile(service))

    def _accept(self, service: _Service) -> None:
        """Take the desired state: a new etag, and the template's revision if it is not there yet."""
        message = service.message
        message.generation += 1
        message.update_time = datetime.now(UTC)
        message.etag = f'"{next(self._etags)}"'
        message.reconciling = True
        template = message.template
        if not template.revision:
            template.revision = f"{message.name.rpartition('/')[2]}-{message.generation:05}-abc"
        if template.revision not in service.revisions:
            revision = run_v2.Revision(
                name=f"{message.name}/revisions/{template.revision}",
                service=message.name,
                annotations=template.annotations,
                containers=template.containers,
                create_time=datetime.now(UTC),
                reconciling=True,
                conditions=[run_v2.Condition(type_="Ready", state=_RECONCILING)],
            )
            service.revisions[template.revision] = _Revision(revision)
            message.latest_created_revision = revision.name

    def _reconcile(self, service: _Service) -> Any:
        """Start what must run, then split the traffic as it was asked; an error leaves the traffic where it is."""
        with self._reconciling:
            message = service.message
            newest = message.latest_created_revision.rpartition("/")[2]
            named = {target.revision for target in message.traffic if target.revision} | {newest}
            error = None
            for name in sorted(named & service.revisions.keys()):
                ready = service.revisions[name].message.conditions[0]
                if service.revisions[name].container is None and ready.state != _FAILED:
                    error = self._start(service.revisions[name]) or error
                elif ready.state == _FAILED:  # a revision that is named and cannot serve keeps all traffic where it is
                    error = ready.message
            with self._lock:
                if service.revisions[newest].message.conditions[0].state == _SUCCEEDED:
                    message.latest_ready_revision = message.latest_created_revision
                self._split(service)
                message.reconciling = False
                state = _FAILED if error else _SUCCEEDED
                message.terminal_condition = run_v2.Condition(type_="Ready", state=state, message=error or "")
                message.observed_generation = message.generation
        if error:
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, error)
        return message

    def _start(self, revision: _Revision) -> str | None:
        """Run the revision's container and return why it is not ready."""
        container = revision.message.containers[0]
        try:
            environment = {one.name: self._value_of(one) for one in container.env}
            port = container.ports[0].container_port if container.ports else 8080
            revision.container = engine.start_container(container.image, environment=environment, port=port)
            _wait_for_port(revision.container)
            error = None
        except Refusal as refusal:
            error = refusal.text
        except engine.ContainerError as failure:
            first = str(failure).partition("\n")[0]
            error = (
                f"Revision '{revision.message.name.rpartition('/')[2]}' is not ready and cannot serve traffic. {first}"
            )
        with self._lock:
            condition = run_v2.Condition(type_="Ready", state=_FAILED if error else _SUCCEEDED, message=error or "")
            revision.message.conditions = [condition]
            revision.message.reconciling = False
        if error:
            self._remove(revision)
        return error

    def _value_of(self, variable: Any) -> str:
        reference = variable.value_source.secret_key_ref
        if not reference.secret:
            return str(variable.value)
        versions = self.secrets.get(reference.secret, [])
        number = len(versions) if reference.version == "latest" else int(reference.version)
        if not 0 < number <= len(versions):
            raise Refusal(INVALID, f"Secret {reference.secret}/versions/{reference.version} was not found")
        return versions[number - 1]

    def _split(self, service: _Service) -> None:
        message = service.message
        statuses: list[Any] = []
        weights: dict[str, int] = {}
        for target in message.traffic:
            name = target.revision or message.latest_ready_revision.rpartition("/")[2]
            revision = service.revisions.get(name)
            if revision is None or revision.container is None:
                return
            uri = revision.container.url if target.tag else ""
            statuses.append(
                run_v2.TrafficTargetStatus(
                    type_=target.type_, revision=target.revision, percent=target.percent, tag=target.tag, uri=uri
                )
            )
            weights[revision.container.url] = weights.get(revision.container.url, 0) + target.percent
        message.traffic_statuses = statuses
        service.proxy.split(weights)

    def _delete(self, request: Any) -> Any:
        with self._lock:
            service = self._get(request.name)
            del self._services[request.name]
        service.proxy.stop()
        for revision in service.revisions.values():
            self._remove(revision)
        return self._operations.finish(request.name.partition("/services/")[0], service.message)

    def _list_revisions(self, request: Any) -> Any:
        with self._lock:
            revisions = [one.message for one in self._get(request.parent).revisions.values()]
        newest_first = sorted(revisions, key=lambda one: one.create_time, reverse=True)
        return run_v2.ListRevisionsResponse(revisions=newest_first)

    def _delete_revision(self, request: Any) -> Any:
        path, _, name = request.name.partition("/revisions/")
        with self._lock:
            service = self._get(path)
            revision = service.revisions.get(name)
            if revision is None:
                raise Refusal(MISSING, f"no revision {name}")
            if name in {target.revision for target in service.message.traffic}:
                raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, f"Revision {name} is named by the traffic")
            if revision.message.name == service.message.latest_created_revision:
                raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, f"Revision {name} is the latest of its service")
            del service.revisions[name]
        self._remove(revision)
        return self._operations.finish(path.partition("/services/")[0], revision.message)

    def _get_secret_version(self, request: Any) -> Any:
        secret, _, version = request.name.partition("/versions/")
        versions = self.secrets.get(secret.rpartition("/")[2], [])
        number = len(versions) if version == "latest" else int(version)
        if not 0 < number <= len(versions):
            raise Refusal(MISSING, f"Secret Version [{request.name}] not found.")
        return secret_types.SecretVersion(
            name=f"{secret}/versions/{number}", state=secret_types.SecretVersion.State.ENABLED
        )

    def _list_log_entries(self, request: Any) -> Any:
        name = re.search(r'revision_name="([^"]+)"', request.filter)
        found = [
            one
            for service in self._services.values()
            for revision, one in service.revisions.items()
            if name and name[1] == revision
        ]
        lines = [line for one in found for line in self._lines(one, request.page_size)]
        return ListLogEntriesResponse(entries=[LogEntry(text_payload=line) for line in reversed(lines)])

    @staticmethod
    def _lines(revision: _Revision, most: int) -> list[str]:
        lines = engine.read_logs(revision.container, most) if revision.container else revision.last_lines
        return lines[-most:]

    @staticmethod
    def _remove(revision: _Revision) -> None:
        if revision.container is not None:
            revision.last_lines = engine.read_logs(revision.container, 100)
            engine.remove_container(revision.container)
            revision.container = None


def _wait_for_port(container: engine.Container) -> None:
    """Wait as the startup probe does: until the port is open. Raises ContainerError."""
    end_s = time.monotonic() + _START_TIMEOUT_S
    failed = "The user-provided container failed to start and listen on the port defined by PORT=8080"
    while time.monotonic() < end_s:
        with contextlib.suppress(OSError):
            try:
                with urllib.request.urlopen(container.url, timeout=2):
                    return
            except urllib.error.HTTPError:
                return
        if engine.read_state(container)["Status"] != "running":
            raise engine.ContainerError(failed)
        time.sleep(0.05)
    raise engine.ContainerError(failed + f" within {_START_TIMEOUT_S:g} s")


def _check(service: Any, *, existing: set[str]) -> None:
    """Raise Refusal for what Cloud Run refuses at once."""
    service_id = service.name.rpartition("/")[2]
    checks: list[Callable[[], None]] = [
        lambda: _check_template(service.template, service_id),
        lambda: _check_traffic(service, service_id, existing | {service.template.revision}),
        lambda: _check_keys(service.annotations),
    ]
    for check in checks:
        check()


def _check_keys(keys: Any) -> None:
    for key in keys:
        if key.startswith(_RESERVED):
            raise Refusal(INVALID, f"annotations: {key} is reserved")
        if not re.fullmatch(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", key):
            raise Refusal(INVALID, f"annotations: {key!r} is no key")


def _check_template(template: Any, service_id: str) -> None:
    _check_keys(template.annotations)
    if len(template.containers) != 1:
        raise Refusal(INVALID, "template.containers: one is needed")
    name = template.revision
    if name and not (name.startswith(f"{service_id}-") and re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", name)):
        raise Refusal(INVALID, f"template.revision: {name!r} must begin with {service_id}- and have 63 letters at most")
    container = template.containers[0]
    if not container.image:
        raise Refusal(INVALID, "template.containers[0].image: it is missing")
    names = [one.name for one in container.env]
    if len(set(names)) != len(names) or set(names) & {"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"}:
        raise Refusal(INVALID, f"template.containers[0].env: repeated or reserved names in {names}")
    for key, value in container.resources.limits.items():
        if key not in {"cpu", "memory"} or (key == "cpu" and value not in {"1", "2", "4", "6", "8"}):
            raise Refusal(INVALID, f"template.containers[0].resources.limits.{key}: {value}")
    if container.resources.limits.get("cpu") == "4" and container.resources.limits.get("memory") == "512Mi":
        raise Refusal(INVALID, "4 CPUs need at least 2Gi of memory")


def _check_traffic(service: Any, service_id: str, revisions: set[str]) -> None:
    if not service.traffic:
        service.traffic = [run_v2.TrafficTarget(type_=_LATEST, percent=100)]
    percent = sum(target.percent for target in service.traffic)
    if percent != 100:
        raise Refusal(INVALID, f"traffic: percentages sum to {percent} and not to 100")
    tags = [target.tag for target in service.traffic if target.tag]
    if len(set(tags)) != len(tags):
        raise Refusal(INVALID, f"traffic: repeated tags in {tags}")
    for target in service.traffic:
        if target.tag and not re.fullmatch(r"[a-z][a-z0-9-]+[a-z0-9]", target.tag):
            raise Refusal(INVALID, f"traffic.tag: {target.tag!r}")
        if len(target.tag) + len(service_id) > 46:
            raise Refusal(INVALID, f"traffic tag '{target.tag}' and service name '{service_id}' together are too long")
        if target.type_ == _REVISION and target.revision not in revisions:
            raise Refusal(INVALID, f"traffic.revision: there is no {target.revision!r}")
