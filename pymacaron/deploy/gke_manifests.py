"""What a cluster is told, as plain data: a Deployment for each colour, Services before them, an autoscaler."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pymacaron.config import PymConfig
from pymacaron.deploy.gcp import GcpSettings
from pymacaron.deploy.target import PORT, Release

COLOURS = ("blue", "green")
RELEASE = "pymacaron/release"
"""Annotation of a Deployment and its pods: the release as JSON."""
COLOUR = "pymacaron/colour"
VERSION = "pymacaron/version"
APP = "app.kubernetes.io/name"
PREVIEW = "preview"
_ROLE = "pymacaron/role"
_DEADLINE_S = 600
# Between the moment that a pod is told to end and the one when it stops listening: until nobody sends to it any more.
_LEAVE_S = 5
_TARGET_CPU_PERCENT = 70


def name_deployment(app: str, colour: str) -> str:
    """Return ``APP-COLOUR``, the name of the Deployment, of its preview Service and of its autoscaler."""
    return f"{app}-{colour}"


def name_live_service(app: str) -> str:
    """Return ``APP-live-service``, which an Ingress of pymacaron 2 points at already."""
    return f"{app}-live-service"


def build_deployment(config: PymConfig, settings: GcpSettings, release: Release, colour: str) -> dict[str, Any]:
    """Return the Deployment of *colour* with *release*, without the number of pods: scaling it is others' business."""
    labels = {APP: config.name, COLOUR: colour}
    annotation = {RELEASE: json.dumps(release.to_json())}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name_deployment(config.name, colour), "labels": labels, "annotations": annotation},
        "spec": {
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "progressDeadlineSeconds": _DEADLINE_S,
            "revisionHistoryLimit": 2,
            "template": {
                "metadata": {"labels": {**labels, VERSION: release.version}, "annotations": annotation},
                "spec": {
                    "terminationGracePeriodSeconds": config.stop_timeout + _LEAVE_S + 5,
                    "containers": [_build_container(config, settings, release.image)],
                },
            },
        },
    }


def _build_container(config: PymConfig, settings: GcpSettings, image: str) -> dict[str, Any]:
    ping = {"httpGet": {"path": "/ping", "port": PORT}, "timeoutSeconds": 3}
    environment: list[dict[str, Any]] = [{"name": "PORT", "value": str(PORT)}]
    if config.env:
        environment.append({"name": "PYM_ENV", "value": config.env})
    for name in config.env_secrets:
        secret, _, key = settings.gcp_secrets.get(name, f"{config.name}-secrets/{name}").partition("/")
        reference = {"name": secret, "key": key or name}
        environment.append({"name": name, "valueFrom": {"secretKeyRef": reference}})
    container: dict[str, Any] = {
        "name": config.name,
        "image": image,
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "env": environment,
        "startupProbe": {**ping, "periodSeconds": 1, "failureThreshold": 120},
        "readinessProbe": {**ping, "periodSeconds": 2, "failureThreshold": 2},
        "livenessProbe": {**ping, "periodSeconds": 10, "failureThreshold": 3},
        "lifecycle": {"preStop": {"sleep": {"seconds": _LEAVE_S}}},
    }
    requests = {"cpu": str(config.cpu_count)} if config.cpu_count else {}
    if settings.gcp_memory:
        requests["memory"] = settings.gcp_memory
        container["resources"] = {"limits": {"memory": settings.gcp_memory}}
    if requests:
        container.setdefault("resources", {})["requests"] = requests
    return container


def build_preview(config: PymConfig, settings: GcpSettings, colour: str) -> dict[str, Any]:
    """Return the Service at which one colour alone answers, for tests of it."""
    app = config.name
    service = _build_service(app, name_deployment(app, colour), {APP: app, COLOUR: colour}, settings)
    service["metadata"]["labels"][_ROLE] = PREVIEW
    return service


def build_live(config: PymConfig, settings: GcpSettings, selector: dict[str, str]) -> dict[str, Any]:
    """Return the Service that clients reach; an Ingress is before it where the service has a host name of its own."""
    service = _build_service(config.name, name_live_service(config.name), selector, settings)
    service["metadata"]["labels"][_ROLE] = "live"
    if config.live_host:
        service["spec"]["type"] = "NodePort"
        service["spec"]["ports"][0]["port"] = PORT
    return service


def _build_service(app: str, name: str, selector: dict[str, str], settings: GcpSettings) -> dict[str, Any]:
    port = {"name": "http", "port": settings.gcp_port, "targetPort": PORT, "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {APP: app}},
        "spec": {"type": "LoadBalancer", "selector": selector, "ports": [port]},
    }


def build_switch(service: dict[str, Any], selector: dict[str, str]) -> dict[str, Any]:
    """Return the patch that sends all traffic to *selector*, if *service* is still what was read."""
    metadata = {"name": service["metadata"]["name"], "resourceVersion": service["metadata"]["resourceVersion"]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": selector}}


def build_autoscaler(app: str, settings: GcpSettings, colour: str) -> dict[str, Any] | None:
    """Return the autoscaler of one colour, None unless gcp_max_instances is set."""
    if not settings.gcp_max_instances:
        return None
    name = name_deployment(app, colour)
    usage = {"type": "Utilization", "averageUtilization": _TARGET_CPU_PERCENT}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "labels": {APP: app, COLOUR: colour}},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": max(settings.gcp_min_instances or 1, 1),
            "maxReplicas": settings.gcp_max_instances,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": usage}}],
        },
    }


def read_release(deployment: dict[str, Any]) -> Release:
    """Return the release of a Deployment."""
    metadata = deployment["metadata"]
    text = metadata.get("annotations", {}).get(RELEASE)
    if text:
        return Release.from_json(json.loads(text))
    image = str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])
    return Release.of_others(metadata["name"], image, datetime.fromisoformat(metadata["creationTimestamp"]))


def is_selected(deployment: dict[str, Any], service: dict[str, Any]) -> bool:
    """Tell whether *service* sends requests to the pods of *deployment*."""
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selector = service["spec"].get("selector") or {}
    return bool(selector) and selector.items() <= labels.items()
