"""The target `gke`: each release is a Deployment in one of two colours, and the live Service selects a colour."""

from __future__ import annotations

import time
from typing import Any

from pymacaron.config import PymConfig
from pymacaron.deploy import gke_manifests
from pymacaron.deploy.answering import wait_until_answering
from pymacaron.deploy.config_map_shelf import ConfigMapShelf
from pymacaron.deploy.gcp import find_project, read_settings
from pymacaron.deploy.gke_cluster import Cluster, ClusterConflict, find_cluster
from pymacaron.deploy.gke_manifests import APP, COLOUR, COLOURS, VERSION
from pymacaron.deploy.gke_rollout import read_pod_logs, say_what_ended, say_what_is_hopeless, say_what_is_missing
from pymacaron.deploy.instances import Instances
from pymacaron.deploy.metrics_page import NoPageError, fetch_page
from pymacaron.deploy.target import PORT, Placed, PlacementError, Release, refuse
from pymacaron.exceptions import Finding, TargetError

START_TIMEOUT_S = 660.0
_PAUSE_S = 0.5
_ALL = 100
_ATTEMPTS = 3


class GkeTarget:
    """One namespace of a cluster, with the service in two colours.

    Each colour is a Deployment with a preview Service, where tests reach it; the live Service selects one of them. How
    many pods a colour has is no part of what is applied: autoscalers keep their say, and a new colour begins with as
    many as the live one. Traffic is swapped at once: shares by numbers of pods would be shares in name only.
    """

    name = "gke"
    steps = (100,)

    def __init__(self, config: PymConfig) -> None:
        """Take the service's configuration. Raises: ConfigError: a gcp_ key is wrong; TargetError: no such cluster."""
        self._config = config
        self._settings = read_settings(config)
        self._cluster: Cluster = find_cluster(
            find_project(config, self._settings),
            self._settings,
            name=self._settings.gcp_cluster or f"{config.name}-live",
            namespace=self._settings.gcp_namespace or config.name,
        )
        self._instances: dict[str, Instances] = {}
        self._where = f"{self._cluster.where}, namespace {self._cluster.namespace}"

    @property
    def live_url(self) -> str:
        """Return live_url or live_host of the configuration, else the live Service's address, "" while it has none."""
        if self._config.live_url or self._config.live_host:
            return (self._config.live_url or f"https://{self._config.live_host}").rstrip("/")
        return _find_address(self._read_live())

    def plan(self, release: Release) -> list[str]:
        """Return what would be done, after the cluster's own dry run of it. Raises: TargetError: it refuses."""
        name = self._config.name
        live = self._find_live(self._list())
        colour = self._choose_colour(release.version)
        manifests = self._build(release, colour)
        is_new = not self._cluster.has_namespace()
        if not is_new:
            for manifest in manifests:
                self._cluster.apply(manifest, is_dry_run=True)
        pods = self._count_wanted(live)
        kept = f"; {gke_manifests.read_release(live).version} keeps all traffic" if live else ""
        sentences = [f"Create the namespace {self._cluster.namespace}"] if is_new else []
        sentences += [f"Apply {manifest['kind']} {manifest['metadata']['name']}" for manifest in manifests]
        sentences += [
            f"Start {pods} of {release.image} as {name}-{colour}{kept}",
            f"Then let the Service {gke_manifests.name_live_service(name)} select {colour}",
        ]
        sentences += [
            f"Give it {one['name']} by reference to key {reference['key']} of Secret {reference['name']}"
            for one in manifests[0]["spec"]["template"]["spec"]["containers"][0]["env"]
            if (reference := one.get("valueFrom", {}).get("secretKeyRef"))
        ]
        sentences.append(
            f"Costs: {pods} more pods until the release before is retired, a load balancer for each colour"
        )
        if is_new:
            return [*sentences, "Nothing could be validated: there is no namespace for the cluster's dry run yet"]
        return [*sentences, "The cluster validated all of it and would take it"]

    def current(self) -> list[Placed]:
        """Return each colour that has pods, and whatever else the live Service selects."""
        deployments = self._list()
        live = self._find_live(deployments)
        service = self._read_live()
        placed = []
        for deployment in deployments:
            is_live = deployment is live
            if is_live or (self._is_ours(deployment) and deployment["spec"].get("replicas", 1) > 0):
                preview = self._cluster.get("Service", deployment["metadata"]["name"])
                url = _find_address(preview) or (_find_address(service) if is_live else "")
                placed.append(Placed(gke_manifests.read_release(deployment), url, _ALL if is_live else 0))
        return placed

    def stage(self, release: Release) -> Placed:
        """Start the release in the idle colour, or find it; return it once all pods are ready and its URL answers."""
        deployments = self._list()
        live = self._find_live(deployments)
        colour = self._choose_colour(release.version)
        found = self._find(release.version)
        if found and gke_manifests.read_release(found).image != release.image:
            text = f"{release.version} is there with another image"
            raise PlacementError(Finding(self._where, text, "Give the release a version of its own"))
        self._cluster.ensure_namespace()
        applied = [self._cluster.apply(manifest) for manifest in self._build(release, colour)]
        wanted = self._count_wanted(live)
        if applied[0]["spec"].get("replicas", 1) < wanted:
            self._cluster.scale(applied[0]["metadata"]["name"], wanted)
        self._wait_for_pods(release.version, applied[0]["metadata"]["name"])
        return self._wait_until_it_answers(release.version)

    def shift(self, candidate: str, baseline: str | None, percent: int) -> None:
        """Let the live Service select the candidate, by one patch of what was read; *percent* is always 100."""
        if percent != _ALL:
            found = f"a share of {percent} % was asked for"
            raise PlacementError(Finding(self._where, found, "Shift 100: a selector sends all traffic or none"))
        for attempt in range(_ATTEMPTS):
            try:
                self._switch(candidate, baseline)
                break
            except ClusterConflict:  # the Service was written since it was read: by its load balancer, or by somebody
                if attempt == _ATTEMPTS - 1:
                    raise
        self._wait_for_live_address()

    def check(self, version: str) -> None:
        """See that no pod has ended. Raises: PlacementError: one has, or will never start; with its last lines."""
        deployment, pods = self._need(version), self._list_pods(version)
        found = say_what_is_hopeless(deployment, pods) or say_what_ended(pods)
        if found:
            raise refuse(self._where, version, f"is ill: {found}", lambda: self.logs(version))

    def metrics(self, version: str) -> str:
        """Return the text of /metrics of all pods of that version, summed; asked through the cluster's proxy.

        Of a pod that is not ready, or gone, the last page counts. That proxy keeps an Authorization header for itself:
        where metrics_token is set, the release's own URL is asked, until every pod has answered.
        """
        self._need(version)
        path, port = self._config.metrics_path, self._config.metrics_port or PORT
        ready = [pod["metadata"]["name"] for pod in self._list_pods(version) if _is_ready(pod)]
        if not ready:
            raise TargetError(Finding(self._where, f"{version} has no pod that is ready", "Look at its log"))
        instances = self._instances.setdefault(version, Instances())
        if self._config.metrics_token is None:
            for name in ready:
                instances.note(frozenset({name}), self._cluster.fetch(name, port, path))
            return instances.sum()
        url = self._placed(version).url
        try:
            return instances.ask(lambda: fetch_page(url, self._config), len(ready))
        except (NoPageError, ValueError) as error:
            raise TargetError(Finding(version, str(error), "Look at the log")) from error

    def logs(self, version: str, lines: int = 50) -> list[str]:
        """Return the last *lines* of the newest pod of that version, of before its restart if it was restarted."""
        return read_pod_logs(self._cluster, self._list_pods(version), lines)

    def retire(self, version: str) -> None:
        """Scale the colour to no pods, and remove its preview Service and autoscaler.

        Pods end their requests first: they have stop_timeout, and some seconds more in which nobody sends to them.
        """
        deployment = self._find(version)
        if deployment is None:
            return
        if deployment is self._find_live([deployment]):
            finding = Finding(
                self._where, f"{version} has 100 % of the traffic", "Shift the traffic away from it first"
            )
            raise PlacementError(finding)
        name = deployment["metadata"]["name"]
        if deployment["spec"].get("replicas", 1) > 0:
            self._cluster.scale(name, 0)
        if self._is_ours(deployment):
            self._cluster.delete("HorizontalPodAutoscaler", name)
            self._cluster.delete("Service", name)

    def shelf(self) -> ConfigMapShelf:
        """Return the ConfigMaps of the namespace: they are there before the first release, and each has a version."""
        return ConfigMapShelf(self._cluster, self._config.name)

    def _switch(self, candidate: str, baseline: str | None) -> None:
        deployment, service = self._need(candidate), self._read_live()
        selector = deployment["spec"]["selector"]["matchLabels"]
        if service is None:
            self._cluster.apply(gke_manifests.build_live(self._config, self._settings, selector))
        elif not gke_manifests.is_selected(deployment, service):
            live = self._find_live(self._list())
            seen = gke_manifests.read_release(live).version if live else None
            if baseline is not None and seen not in {baseline, None}:
                found = f"the live Service selects {seen} and not {baseline}"
                raise TargetError(Finding(self._where, found, "See who else deploys"))
            if not deployment.get("status", {}).get("availableReplicas"):
                raise PlacementError(
                    Finding(self._where, f"{candidate} has no pod that is available", "Stage it first")
                )
            self._cluster.switch(gke_manifests.build_switch(service, selector))

    def _build(self, release: Release, colour: str) -> list[dict[str, Any]]:
        deployment = gke_manifests.build_deployment(self._config, self._settings, release, colour)
        manifests = [deployment, gke_manifests.build_preview(self._config, self._settings, colour)]
        autoscaler = gke_manifests.build_autoscaler(self._config.name, self._settings, colour)
        return [*manifests, autoscaler] if autoscaler else manifests

    def _list(self) -> list[dict[str, Any]]:
        return self._cluster.list_all("Deployment")

    def _is_ours(self, deployment: dict[str, Any]) -> bool:
        labels = deployment["metadata"].get("labels", {})
        return labels.get(APP) == self._config.name and labels.get(COLOUR) in COLOURS

    def _read_live(self) -> dict[str, Any] | None:
        return self._cluster.get("Service", gke_manifests.name_live_service(self._config.name))

    def _find_live(self, deployments: list[dict[str, Any]]) -> dict[str, Any] | None:
        """Return the one of *deployments* that the live Service selects."""
        service = self._read_live()
        selected = [one for one in deployments if service and gke_manifests.is_selected(one, service)]
        return selected[0] if selected else None

    def _find(self, version: str) -> dict[str, Any] | None:
        deployments = self._list()
        live = self._find_live(deployments)
        for one in deployments:
            if (self._is_ours(one) or one is live) and gke_manifests.read_release(one).version == version:
                return one
        foreign = [one for one in deployments if not self._is_ours(one) and one["metadata"]["name"] == version]
        return foreign[0] if foreign else None

    def _need(self, version: str) -> dict[str, Any]:
        found = self._find(version)
        if found is None:
            raise PlacementError(Finding(self._where, f"there is no Deployment of {version}", "Stage it first"))
        return found

    def _placed(self, version: str) -> Placed:
        for placed in self.current():
            if placed.release.version == version:
                return placed
        raise PlacementError(Finding(self._where, f"{version} has no pods", "Stage it first"))

    def _choose_colour(self, version: str) -> str:
        """Return the colour that has *version*, else one that is not live, if possible one without pods."""
        ours: dict[str, dict[str, Any]] = {
            one["metadata"]["labels"][COLOUR]: one for one in self._list() if self._is_ours(one)
        }
        for colour, deployment in ours.items():
            if gke_manifests.read_release(deployment).version == version:
                return colour
        live = self._find_live(list(ours.values()))
        idle = [colour for colour in COLOURS if live is None or ours.get(colour) is not live]
        return min(idle, key=lambda colour: ours.get(colour, {"spec": {"replicas": 0}})["spec"].get("replicas", 1))

    def _count_wanted(self, live: dict[str, Any] | None) -> int:
        running = live["spec"].get("replicas", 1) if live else 0
        return max(running, self._settings.gcp_min_instances or 0, 1)

    def _list_pods(self, version: str) -> list[dict[str, Any]]:
        deployment = self._find(version)
        if deployment is None:
            return []
        labels = dict(deployment["spec"]["selector"]["matchLabels"])
        if self._is_ours(deployment):
            labels[VERSION] = version
        return self._cluster.list_all("Pod", ",".join(f"{key}={value}" for key, value in labels.items()))

    def _wait_for_pods(self, version: str, name: str) -> None:
        end_s = time.monotonic() + START_TIMEOUT_S
        missing: str | None = "it was not looked at"
        while time.monotonic() < end_s:
            deployment = self._cluster.get("Deployment", name) or {"metadata": {"generation": 0}, "spec": {}}
            missing = say_what_is_missing(deployment)
            if missing is None:
                return
            hopeless = say_what_is_hopeless(deployment, self._list_pods(version))
            if hopeless:
                raise self._refuse(version, hopeless)
            time.sleep(_PAUSE_S)
        raise self._refuse(version, f"not complete after {START_TIMEOUT_S:g} s: {missing}")

    def _wait_until_it_answers(self, version: str) -> Placed:
        seen = wait_until_answering(lambda: self._placed(version).url, timeout_s=START_TIMEOUT_S, pause_s=_PAUSE_S)
        if seen:
            raise self._refuse(version, f"GET /ping is not answered after {START_TIMEOUT_S:g} s: {seen}")
        return self._placed(version)

    def _wait_for_live_address(self) -> None:
        end_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end_s:
            service = self._read_live()
            if service and (service["spec"].get("type") != "LoadBalancer" or _find_address(service)):
                return
            time.sleep(_PAUSE_S)
        raise TargetError(Finding(self._where, "the live Service got no address", "Look at its events"))

    def _refuse(self, version: str, found: str) -> PlacementError:
        return refuse(self._where, version, f"does not come up: {found}", lambda: self.logs(version))


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _find_address(service: dict[str, Any] | None) -> str:
    """Return the URL of a Service's load balancer, "" while it has none."""
    if service is None:
        return ""
    found = service.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
    host = found[0].get("ip") or found[0].get("hostname")
    port = service["spec"]["ports"][0]["port"]
    return f"http://{host}" + ("" if port == 80 else f":{port}") if host else ""  # noqa: PLR2004 - of HTTP
