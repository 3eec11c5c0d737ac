"""Whether the pods of a Deployment are there, or why they will never be: by the rules of `kubectl rollout status`."""

from __future__ import annotations

from typing import Any

from pymacaron.deploy.gke_cluster import Cluster
from pymacaron.exceptions import TargetError

# What a pod does not come back from by itself, apart from waiting for the deadline.
_HOPELESS = {
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}


def say_what_is_missing(deployment: dict[str, Any]) -> str | None:
    """Return what the rollout still waits for, None when it is complete."""
    wanted = deployment["spec"].get("replicas", 1)
    status = deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return "the Deployment was not looked at yet"
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted:
        return f"{updated} of {wanted} pods are made"
    if status.get("replicas", 0) > updated:
        return f"{status['replicas'] - updated} pods of before are still there"
    if available < updated:
        return f"{available} of {updated} pods are available"
    return None


def say_what_is_hopeless(deployment: dict[str, Any], pods: list[dict[str, Any]]) -> str | None:
    """Return why the rollout will not succeed, None while it may: a reason of a pod, or the deadline of the cluster."""
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", []):
            waiting = container.get("state", {}).get("waiting", {})
            if waiting.get("reason") in _HOPELESS:
                ended = container.get("lastState", {}).get("terminated", {})
                code = f", its last exit code was {ended['exitCode']}" if "exitCode" in ended else ""
                message = f" ({waiting['message']})" if waiting.get("message") else ""
                return f"pod {pod['metadata']['name']}: {waiting['reason']}{message}{code}"
    status = deployment.get("status", {})
    is_current = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    for condition in status.get("conditions", []) if is_current else []:
        if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return f"ProgressDeadlineExceeded: {condition.get('message', '')}"
    return None


def say_what_ended(pods: list[dict[str, Any]]) -> str | None:
    """Return which container of *pods* has ended, even if it runs again; None if none has."""
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", []):
            if container.get("restartCount"):
                ended = container.get("lastState", {}).get("terminated", {})
                code = f", its last exit code was {ended['exitCode']}" if "exitCode" in ended else ""
                return f"pod {pod['metadata']['name']} was started again, {container['restartCount']} times{code}"
    return None


def read_pod_logs(cluster: Cluster, pods: list[dict[str, Any]], lines: int) -> list[str]:
    """Return the last *lines* of the newest of *pods* that wrote any; those before its restart, if it was restarted."""
    newest_first = sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)
    for pod in newest_first:
        restarts = sum(one.get("restartCount", 0) for one in pod.get("status", {}).get("containerStatuses", []))
        for is_previous in (False, True) if restarts else (False,):
            try:
                found = cluster.read_log(pod["metadata"]["name"], lines=lines, is_previous=is_previous)
            except TargetError:
                continue  # it has not started, or nothing was kept
            if found:
                return found[-lines:]
    return []
