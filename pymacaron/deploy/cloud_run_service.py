"""What Cloud Run is told, as plain messages: the template of a revision, and how traffic is split among revisions."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any

from google.cloud import run_v2

from pymacaron.config import PymConfig
from pymacaron.deploy.gcp import GcpSettings
from pymacaron.deploy.target import PORT, Release

RELEASE = "pymacaron/release"
"""Annotation of a revision: the release as JSON."""
UNUSED = "pymacaron/unused"
"""Annotation of a service: its first revision, which was given no traffic yet by whoever deployed it."""
_ENVIRONMENT = "pymacaron/environment"  # of a template: the variables that were set here, and are not the operator's
_MOST_NAME = 63
_STAND_IN = "us-docker.pkg.dev/cloudrun/container/hello"
_LATEST = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
_REVISION = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION


def name_tag(version: str) -> str:
    """Return the traffic tag of *version*: 9 characters, as tag and service name share 46 in the tag's host name."""
    return "r" + hashlib.sha256(version.encode()).hexdigest()[:8]


def name_revision(service_id: str, version: str, taken: Collection[str] = ()) -> str:
    """Return the revision's name, ``SERVICE-VERSION``; with a tag for the version where that has over 63 letters.

    taken: names of revisions that are there. One that failed once stays failed, so that another attempt needs a name
    of its own, ``SERVICE-VERSION-2``.
    """
    for attempt in itertools.count(1):
        ending = "" if attempt == 1 else f"-{attempt}"
        name = f"{service_id}-{version}{ending}"
        name = name if len(name) <= _MOST_NAME else f"{service_id}-{name_tag(version)}{ending}"
        if name not in taken:
            break
    return name


def build_service(
    config: PymConfig,
    settings: GcpSettings,
    release: Release,
    *,
    secrets: Mapping[str, tuple[str, str]],
    existing: Any = None,
    revisions: Sequence[Any] = (),
) -> Any:
    """Return the service with *release* as its newest revision and the traffic where it is.

    Of an *existing* service all that is not the release's is kept: networks, volumes, containers beside it, variables
    that others set. secrets: variable -> secret and version. revisions: those that the service has. A new service
    gives its only revision all traffic, as there is no other, and is marked as unused.
    """
    service_id = settings.gcp_service or config.name
    revision = name_revision(service_id, release.version, [find_name(one) for one in revisions])
    service = run_v2.Service() if existing is None else run_v2.Service(name=existing.name, etag=existing.etag)
    template = run_v2.RevisionTemplate() if existing is None else run_v2.RevisionTemplate(existing.template)
    _fill_template(template, config, settings)
    template.revision = revision
    template.annotations[RELEASE] = json.dumps(release.to_json())
    _fill_container(template, config, settings, image=release.image, secrets=secrets)
    service.template = template
    if existing is None:
        service.ingress = run_v2.IngressTraffic.INGRESS_TRAFFIC_ALL  # type: ignore[assignment]  # an enum of proto-plus
        service.invoker_iam_disabled = True
    shares = {} if existing is None else read_shares(existing)
    service.annotations = {} if existing is None else existing.annotations
    if existing is None or (UNUSED in existing.annotations and not shares):
        service.annotations[UNUSED] = revision
    service.traffic = split_traffic(
        shares or {revision: 100}, [*read_tags(existing, revisions), *((name, "") for name in shares), (revision, "")]
    )
    return service


def _fill_template(template: Any, config: PymConfig, settings: GcpSettings) -> None:
    if settings.gcp_request_concurrency:
        template.max_instance_request_concurrency = settings.gcp_request_concurrency
    if settings.gcp_service_account:
        template.service_account = settings.gcp_service_account
    if settings.gcp_min_instances is not None:
        template.scaling.min_instance_count = settings.gcp_min_instances
    if settings.gcp_max_instances:
        template.scaling.max_instance_count = settings.gcp_max_instances
    if config.request_timeout:
        template.timeout = {"seconds": config.request_timeout}


def _fill_container(
    template: Any, config: PymConfig, settings: GcpSettings, *, image: str, secrets: Mapping[str, tuple[str, str]]
) -> None:
    """Set image, port, limits and variables of the container that takes the requests: the one with a port."""
    if not template.containers:
        template.containers.append(run_v2.Container())
    container = next((one for one in template.containers if one.ports), template.containers[0])
    container.image = image
    container.ports = [run_v2.ContainerPort(container_port=PORT)]
    limits = dict(container.resources.limits)
    if config.cpu_count:
        limits["cpu"] = str(config.cpu_count)
    if settings.gcp_memory:
        limits["memory"] = settings.gcp_memory
    if limits:
        # cpu_idle has to be said once there are resources: without it, instances are billed when idle too.
        is_new = not container.resources
        container.resources.limits = limits
        container.resources.cpu_idle = True if is_new else container.resources.cpu_idle
    ours = {name: _refer(secret, version, name) for name, (secret, version) in sorted(secrets.items())}
    if config.env:
        ours["PYM_ENV"] = run_v2.EnvVar(name="PYM_ENV", value=config.env)
    set_before = template.annotations.get(_ENVIRONMENT, "").split(",")
    theirs = [one for one in container.env if one.name not in ours and one.name not in set_before]
    container.env = [*theirs, *ours.values()]
    template.annotations[_ENVIRONMENT] = ",".join(ours)


def put_stand_in(service: Any, existing: Any) -> str:
    """Let *service* have the image that runs now, or Google's hello, until its own is built; return which."""
    image = _STAND_IN if existing is None else next(one.image for one in existing.template.containers if one.image)
    container = next((one for one in service.template.containers if one.ports), service.template.containers[0])
    container.image = image
    return str(image)


def _refer(secret: str, version: str, name: str) -> Any:
    selector = run_v2.SecretKeySelector(secret=secret, version=version)
    return run_v2.EnvVar(name=name, value_source=run_v2.EnvVarSource(secret_key_ref=selector))


def read_shares(service: Any) -> dict[str, int]:
    """Return revision -> percent of the traffic that it has now, only those above 0."""
    shares: dict[str, int] = {}
    for status in service.traffic_statuses:
        if status.percent > 0:
            name = _name_of(service, status)
            shares[name] = shares.get(name, 0) + status.percent
    return shares


def read_tags(service: Any, revisions: Sequence[Any]) -> list[tuple[str, str]]:
    """Return (revision, tag) of every tag that the service has, whoever set it; none without a service.

    Tags of revisions that failed, or are gone, are left out: with one of those, Cloud Run moves no traffic at all.
    """
    usable = {find_name(one) for one in revisions if not is_failed(one)}
    tags = [] if service is None else [(_name_of(service, one), one.tag) for one in service.traffic if one.tag]
    return [(name, tag) for name, tag in tags if name in usable]


def find_name(revision: Any) -> str:
    """Return the last part of a revision's name."""
    return str(revision.name).rpartition("/")[2]


def is_failed(revision: Any) -> bool:
    """Tell whether *revision* will never be ready."""
    failed = run_v2.Condition.State.CONDITION_FAILED
    return any(one.type_ == "Ready" and one.state == failed for one in revision.conditions)


def read_urls(service: Any) -> dict[str, str]:
    """Return revision -> the URL of a tag of it, of its own if there is one."""
    urls: dict[str, str] = {}
    for status in service.traffic_statuses:
        if status.tag and status.uri:
            urls.setdefault(_name_of(service, status), status.uri.rstrip("/"))
    return urls


def split_traffic(shares: Mapping[str, int], tags: Iterable[tuple[str, str]]) -> list[Any]:
    """Return the whole traffic, each revision named: *shares*, and at 0 the others that have a tag.

    shares: revision -> percent, 100 together. tags: (revision, tag); "" stands for the revision's own tag.
    """
    wanted = dict.fromkeys((revision, tag or name_tag(revision)) for revision, tag in tags)
    left = dict(shares)
    targets = []
    for revision, tag in wanted:
        targets.append(run_v2.TrafficTarget(type_=_REVISION, revision=revision, percent=left.pop(revision, 0), tag=tag))
    targets += [
        run_v2.TrafficTarget(type_=_REVISION, revision=revision, percent=percent) for revision, percent in left.items()
    ]
    return [target for target in targets if target.percent or target.tag]


def read_release(revision: Any) -> Release:
    """Return the release that *revision* runs."""
    text = revision.annotations.get(RELEASE)
    if text:
        return Release.from_json(json.loads(text))
    image = next((one.image for one in revision.containers if one.image), "unknown")
    return Release.of_others(find_name(revision), str(image), revision.create_time.astimezone(UTC))


def _name_of(service: Any, target: Any) -> str:
    """Return the name of a target's revision; the newest that is ready where it follows that."""
    name = target.revision
    if target.type_ == _LATEST or not name:
        name = service.latest_ready_revision
    return str(name).rpartition("/")[2]
