"""The target `gcp-cloud-run`: a release is a revision with a tag, and traffic is split among revisions."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from google.api_core.exceptions import Aborted, FailedPrecondition, GoogleAPICallError, NotFound
from google.api_core.future.polling import DEFAULT_POLLING
from google.cloud import run_v2
from google.protobuf.field_mask_pb2 import FieldMask

from pymacaron.config import PymConfig
from pymacaron.deploy import cloud_run_service
from pymacaron.deploy.answering import wait_until_answering
from pymacaron.deploy.cloud_run_service import UNUSED
from pymacaron.deploy.gcp import connect, find_project, read_settings, say, told_as_ours
from pymacaron.deploy.gcp_logs import read_logs
from pymacaron.deploy.gcp_secrets import pin_secrets
from pymacaron.deploy.gcs_shelf import GcsShelf
from pymacaron.deploy.instances import Instances
from pymacaron.deploy.metrics_page import NoPageError, fetch_page
from pymacaron.deploy.target import Placed, PlacementError, Release, refuse
from pymacaron.exceptions import Finding, TargetError

START_TIMEOUT_S = 600.0
_POLL = DEFAULT_POLLING.with_delay(initial=0.2, maximum=5.0, multiplier=1.5)
_ANSWER_PAUSE_S = 0.25
_ATTEMPTS = 3  # when another one changed the service between reading and writing
_UNBUILT = "@sha256:" + "0" * 64  # of a plan's image that is still to be built
_FAILED = run_v2.Condition.State.CONDITION_FAILED
_SUCCEEDED = run_v2.Condition.State.CONDITION_SUCCEEDED


class CloudRunTarget:
    """One service of Cloud Run, called *name*; each release is one of its revisions.

    Tests reach a release by the URL of its tag, so that what was tested is what gets the traffic: the same revision of
    the same service. Traffic is always told in full and for named revisions, with the etag of what was read: a change
    that someone else made in between is never overwritten unseen. Source: Cloud Run Admin API v2.
    """

    name = "gcp-cloud-run"
    steps = (5, 25, 50, 100)

    def __init__(self, config: PymConfig) -> None:
        """Take the service's configuration. Raises: ConfigError: a gcp_ key is missing or wrong."""
        self._config = config
        self._settings = read_settings(config)
        self._project = find_project(config, self._settings)
        self._id = self._settings.gcp_service or config.name
        self._parent = f"projects/{self._project}/locations/{self._settings.gcp_region}"
        self._path = f"{self._parent}/services/{self._id}"
        self._where = f"Cloud Run service {self._id} in {self._settings.gcp_region}"
        endpoint = self._settings.gcp_endpoints.get("run")
        self._services = connect(run_v2.ServicesClient, endpoint)
        self._revisions = connect(run_v2.RevisionsClient, endpoint)
        self._instances: dict[str, Instances] = {}

    @property
    def live_url(self) -> str:
        """Return live_url of the configuration, else the URL that Cloud Run gave the service, "" before the first."""
        if self._config.live_url:
            return self._config.live_url.rstrip("/")
        service = self._read()
        return "" if service is None else str(service.uri).rstrip("/")

    def plan(self, release: Release) -> list[str]:
        """Return what would be done, after Cloud Run has validated that request. Raises: TargetError: it refuses it."""
        existing = self._read()
        secrets = self._pin()
        service = self._build(release, existing, secrets)
        validated = "Cloud Run validated the request and would take it"
        if release.image.endswith(_UNBUILT):
            stand_in = cloud_run_service.put_stand_in(service, existing)
            validated = f"Cloud Run validated the request, with {stand_in} in place of the image, and would take it"
        with told_as_ours(self._where, "Mend what Cloud Run refuses"):
            self._send(service, existing, validate_only=True).result(timeout=START_TIMEOUT_S, polling=_POLL)
        shares = {} if existing is None else cloud_run_service.read_shares(existing)
        kept = " and ".join(f"{percent} % on {name}" for name, percent in shares.items())
        first = "its URL answers from the start, as Cloud Run has no service without traffic"
        sentences = [
            f"Create the revision {service.template.revision} of {release.image}"
            + (f" at 0 %, keep {kept}" if shares else f" and the service {self._id}, which anybody may call: {first}"),
            f"Give it the URL of the tag {cloud_run_service.name_tag(service.template.revision)} for tests",
        ]
        sentences += [
            f"Give it {name} from version {version} of the secret {secret}"
            for name, (secret, version) in secrets.items()
        ]
        idle = self._settings.gcp_min_instances or 0
        sentences.append(
            f"Costs: instances are billed while they handle requests; {idle} of each tagged revision when idle too"
        )
        return [*sentences, validated]

    def current(self) -> list[Placed]:
        """Return each revision that has traffic or a tag of its own; one without a tag has the service's URL."""
        service = self._read()
        if service is None:
            return []
        shares = cloud_run_service.read_shares(service)
        urls = cloud_run_service.read_urls(service)
        unused = service.annotations.get(UNUSED)
        placed = []
        for revision in self._list():
            name = cloud_run_service.find_name(revision)
            if name in shares or name in urls:
                share = 0 if name == unused else shares.get(name, 0)
                release = cloud_run_service.read_release(revision)
                placed.append(Placed(release, urls.get(name) or str(service.uri).rstrip("/"), share))
        return placed

    def stage(self, release: Release) -> Placed:
        """Create the revision with a tag and no traffic, or find it; return it once its tag's URL answers.

        A revision that failed stays failed, whatever was mended since: another attempt is another revision.
        """
        existing = self._read()
        revision = self._find(release.version)
        if revision is None or cloud_run_service.is_failed(revision):
            self._create(release, existing)
        elif cloud_run_service.read_release(revision).image != release.image:
            found = f"{release.version} is there with another image"
            raise PlacementError(Finding(self._where, found, "Give the release a version of its own"))
        else:
            self._tag(revision)
        self._wait_until_ready(release.version)
        return self._wait_until_it_answers(release.version)

    def shift(self, candidate: str, baseline: str | None, percent: int) -> None:
        """Split the traffic between two revisions; nothing is sent if it is split so already."""
        shares = {self._name(candidate): percent}
        if baseline is not None and percent < 100:  # noqa: PLR2004 - all of it
            shares[self._name(baseline)] = 100 - percent

        def change(service: Any) -> Any:
            if cloud_run_service.read_shares(service) == shares and UNUSED not in service.annotations:
                return None
            changed = run_v2.Service(name=service.name, etag=service.etag, annotations=service.annotations)
            changed.annotations.pop(UNUSED, None)
            tags = [*cloud_run_service.read_tags(service, self._list()), *((name, "") for name in shares)]
            changed.traffic = cloud_run_service.split_traffic(shares, tags)
            return changed

        self._change(change, ["traffic", "annotations"])
        seen = cloud_run_service.read_shares(self._read() or run_v2.Service())
        if seen != shares:
            raise TargetError(Finding(self._where, f"traffic is {seen} and not {shares}", "Look at its conditions"))

    def check(self, version: str) -> None:
        """See that the revision is ready. Raises: PlacementError: it is not, with its last lines.

        An instance that ended is no sign: Cloud Run starts and ends them all the time.
        """
        revision = self._find(version)
        if revision is None:
            raise PlacementError(Finding(self._where, f"{version} is gone", "Deploy it again"))
        if cloud_run_service.is_failed(revision):
            said = "; ".join(one.message for one in revision.conditions if one.state == _FAILED and one.message)
            raise refuse(self._where, version, f"is ill: {said}", lambda: self.logs(version))

    def metrics(self, version: str) -> str:
        """Return the text of /metrics of that revision, summed over all of its instances that were ever seen.

        Cloud Run chooses an instance for each request and tells no number: it is asked until no new one answers for a
        while. Instances are told apart by the starts of their processes.
        Raises: TargetError: it does not answer, or its pages do not tell their instances.
        """
        url, most = self._placed(version).url, self._settings.gcp_max_instances or 0
        instances = self._instances.setdefault(version, Instances())
        try:
            return instances.ask(lambda: fetch_page(url, self._config), most)
        except NoPageError as error:
            raise TargetError(Finding(version, str(error), "Look at the log")) from error
        except ValueError as error:
            found = f"{self._config.metrics_path}: {error}"
            raise TargetError(Finding(version, found, "Set gcp_max_instances to 1")) from error

    def logs(self, version: str, lines: int = 50) -> list[str]:
        """Return the last *lines* of the revision's output, from Cloud Logging."""
        revision = self._find(version)
        if revision is None:
            return []
        endpoint = self._settings.gcp_endpoints.get("logging")
        return read_logs(self._project, cloud_run_service.find_name(revision), lines=lines, endpoint=endpoint)

    def retire(self, version: str) -> None:
        """Take the revision's tag and delete it, once requests that it still had have ended.

        Cloud Run keeps the newest revision of a service even then; without tag and traffic it has no instances. The
        first revision, if it was never given traffic, goes with its service.
        """
        service = self._read()
        names = [cloud_run_service.find_name(revision) for revision in self._find_all(version)]
        if service is None or not names:
            return
        if service.annotations.get(UNUSED) in names:
            with told_as_ours(self._where):
                self._services.delete_service(name=self._path).result(timeout=START_TIMEOUT_S, polling=_POLL)
            return
        share = sum(cloud_run_service.read_shares(service).get(name, 0) for name in names)
        if share:
            found = f"{version} has {share} % of the traffic"
            raise PlacementError(Finding(self._where, found, "Shift the traffic away from it first"))
        shifted_s = (datetime.now(UTC) - service.update_time).total_seconds()
        time.sleep(min(max(self._config.stop_timeout - shifted_s, 0), self._config.stop_timeout))
        self._untag(names)
        for name in names:
            with told_as_ours(self._where), contextlib.suppress(FailedPrecondition, NotFound):
                path = f"{self._path}/revisions/{name}"
                self._revisions.delete_revision(name=path).result(timeout=START_TIMEOUT_S, polling=_POLL)

    def shelf(self) -> GcsShelf:
        """Return the bucket's folder of this service.

        Not the service's own annotations, though an etag guards those too: there is no service before the first
        release, and each line of the journal would be an update that traffic has to wait for.
        """
        return GcsShelf(
            project=self._project,
            bucket=self._settings.gcp_bucket or f"{self._project}-pymacaron",
            folder=f"cloud-run/{self._settings.gcp_region}/{self._id}",
            location=self._settings.gcp_region,
            endpoint=self._settings.gcp_endpoints.get("storage"),
        )

    def _read(self) -> Any:
        with told_as_ours(self._where):
            try:
                return self._services.get_service(name=self._path)
            except NotFound:
                return None

    def _list(self) -> list[Any]:
        with told_as_ours(self._where):
            try:
                return list(self._revisions.list_revisions(parent=self._path))
            except NotFound:
                return []

    def _find(self, version: str) -> Any:
        found = self._find_all(version)
        return min(found, key=cloud_run_service.is_failed) if found else None

    def _find_all(self, version: str) -> list[Any]:
        """Return the revisions of *version*, the newest first: more than one if the first attempts failed."""
        found = [one for one in self._list() if cloud_run_service.read_release(one).version == version]
        return sorted(found, key=lambda one: one.create_time, reverse=True)

    def _name(self, version: str) -> str:
        revision = self._find(version)
        if revision is None:
            raise PlacementError(Finding(self._where, f"there is no revision of {version}", "Stage it first"))
        return cloud_run_service.find_name(revision)

    def _placed(self, version: str) -> Placed:
        for placed in self.current():
            if placed.release.version == version:
                return placed
        raise PlacementError(Finding(self._where, f"{version} has neither traffic nor tag", "Stage it first"))

    def _pin(self) -> dict[str, tuple[str, str]]:
        endpoint = self._settings.gcp_endpoints.get("secretmanager")
        return pin_secrets(self._project, self._config.env_secrets, self._settings.gcp_secrets, endpoint=endpoint)

    def _build(self, release: Release, existing: Any, secrets: dict[str, tuple[str, str]]) -> Any:
        return cloud_run_service.build_service(
            self._config, self._settings, release, secrets=secrets, existing=existing, revisions=self._list()
        )

    def _send(self, service: Any, existing: Any, *, validate_only: bool = False) -> Any:
        if existing is None:
            request = run_v2.CreateServiceRequest(
                parent=self._parent, service=service, service_id=self._id, validate_only=validate_only
            )
            return self._services.create_service(request=request)
        return self._update(service, ["template", "traffic", "annotations"], validate_only=validate_only)

    def _update(self, service: Any, paths: list[str], *, validate_only: bool = False) -> Any:
        mask = FieldMask(paths=paths)
        request = run_v2.UpdateServiceRequest(service=service, update_mask=mask, validate_only=validate_only)
        return self._services.update_service(request=request)

    def _create(self, release: Release, existing: Any) -> None:
        service = self._build(release, existing, self._pin())
        try:
            self._send(service, existing).result(timeout=START_TIMEOUT_S, polling=_POLL)
        except Aborted as error:
            found = f"it was changed meanwhile ({say(error)})"
            raise TargetError(Finding(self._where, found, "See who else deploys, and try again")) from error
        except GoogleAPICallError as error:
            raise self._refuse(release.version, say(error)) from error

    def _change(self, build: Callable[[Any], Any], paths: list[str]) -> None:
        """Send what *build* makes of the service as it is; None: nothing. Again, if only other things changed."""
        seen = None
        for attempt in range(_ATTEMPTS):
            service = self._read()
            if service is None:
                raise TargetError(Finding(self._where, "there is no such service", "Stage a release first"))
            shares = cloud_run_service.read_shares(service)
            if seen is not None and shares != seen:
                found = f"another one changed the traffic meanwhile, from {seen} to {shares}"
                raise TargetError(Finding(self._where, found, "See who else deploys"))
            seen = shares
            changed = build(service)
            if changed is None:
                return
            with told_as_ours(self._where):
                try:
                    operation = self._update(changed, paths)
                except Aborted:
                    if attempt == _ATTEMPTS - 1:
                        raise
                    continue
                try:
                    operation.result(timeout=START_TIMEOUT_S, polling=_POLL)
                except GoogleAPICallError:
                    # It tells too that the newest revision is broken, which does not keep traffic from going elsewhere.
                    if build(self._read()) is not None:
                        raise
                return

    def _tag(self, revision: Any) -> None:
        name = cloud_run_service.find_name(revision)

        def change(service: Any) -> Any:
            if name in cloud_run_service.read_urls(service):
                return None
            changed = run_v2.Service(name=service.name, etag=service.etag)
            tags = [*cloud_run_service.read_tags(service, self._list()), (name, "")]
            shares = cloud_run_service.read_shares(service) or {name: 100}
            changed.traffic = cloud_run_service.split_traffic(shares, tags)
            return changed

        self._change(change, ["traffic"])

    def _untag(self, names: list[str]) -> None:
        def change(service: Any) -> Any:
            if not any(target.tag and target.revision in names for target in service.traffic):
                return None
            tags = cloud_run_service.read_tags(service, self._list())
            kept = [(revision, tag) for revision, tag in tags if revision not in names]
            changed = run_v2.Service(name=service.name, etag=service.etag)
            changed.traffic = cloud_run_service.split_traffic(cloud_run_service.read_shares(service), kept)
            return changed

        self._change(change, ["traffic"])

    def _wait_until_ready(self, version: str) -> None:
        end_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end_s:
            revision = self._find(version)
            ready = next((one for one in revision.conditions if one.type_ == "Ready"), None) if revision else None
            if ready is not None and ready.state == _SUCCEEDED:
                return
            if ready is not None and ready.state == _FAILED:
                raise self._refuse(version, ready.message)
            time.sleep(_ANSWER_PAUSE_S)
        raise self._refuse(version, f"not ready after {START_TIMEOUT_S:g} s")

    def _wait_until_it_answers(self, version: str) -> Placed:
        url, limit_s = lambda: self._placed(version).url, START_TIMEOUT_S
        seen = wait_until_answering(url, timeout_s=limit_s, pause_s=_ANSWER_PAUSE_S)
        if seen:
            raise self._refuse(version, f"GET /ping is not answered after {limit_s:g} s: {seen}")
        return self._placed(version)

    def _refuse(self, version: str, found: str) -> PlacementError:
        return refuse(self._where, version, f"does not come up: {found}", lambda: self.logs(version))
