"""What makes a cluster's objects come true: pods as containers, rollouts, and Services that pass requests on."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import subprocess
import threading
import traceback
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from clouds import engine
from clouds.kubernetes_objects import ApiError, Key, Object, Objects
from clouds.weighted_proxy import WeightedProxy

_PAUSE_S = 0.1
_HOSTS = itertools.count()
_CRASHING = ("CrashLoopBackOff", "back-off 10s restarting failed container")
_CRASHES = 2  # after so many the kubelet waits, longer each time, and says so


@dataclass
class Pod:
    """A pod's container, and what is known of those before it."""

    key: Key
    spec: Object
    container: engine.Container | None = None
    is_ready: bool = False
    restarts: int = 0
    exit_code: int = 0
    waiting: tuple[str, str] = ("", "")
    previous_lines: list[str] = field(default_factory=list)


class Kubelet:
    """Controllers and kubelet in one thread: they look at all objects, and again when something was changed."""

    def __init__(self, objects: Objects) -> None:
        """Take the objects and begin."""
        self._objects = objects
        self.pods: dict[Key, Pod] = {}
        self._proxies: dict[Key, WeightedProxy] = {}
        self._hosts: dict[Key, str] = {}
        self._numbers = itertools.count(1)
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._ending: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look at all objects soon."""
        self._changed.set()

    def stop(self) -> None:
        """Remove all containers and addresses."""
        self._ended.set()
        self._changed.set()
        self._thread.join(timeout=60)
        for pod in list(self.pods.values()):
            self._end(pod)
        for thread in self._ending:
            thread.join(timeout=60)
        for proxy in self._proxies.values():
            proxy.stop()
        engine.remove_images()

    def read_log(self, key: Key, is_previous: bool) -> list[str]:
        """Return the lines of a pod's container, or of the one before it."""
        self._objects.get(key)
        pod = self.pods[key]
        if is_previous:
            return pod.previous_lines
        if pod.container is None:
            raise ApiError(400, "BadRequest", f'container in pod "{key[2]}" is waiting to start: {pod.waiting[0]}')
        return engine.read_logs(pod.container, 200)

    def fetch(self, key: Key, port: int, path: str) -> bytes:
        """Return what a pod answers to a GET; nobody's token is passed on."""
        self._objects.get(key)
        pod = self.pods[key]
        if pod.container is None or port != 8080:
            raise ApiError(503, "ServiceUnavailable", "error trying to reach service: connection refused")
        try:
            with urllib.request.urlopen(pod.container.url + path, timeout=10) as answer:
                data: bytes = answer.read()
                return data
        except urllib.error.HTTPError as error:
            raise ApiError(error.code, "", error.read().decode()) from error

    def _run(self) -> None:
        while not self._ended.is_set():
            self._changed.wait(_PAUSE_S)
            self._changed.clear()
            try:
                self._look_at_everything()
            except (ApiError, engine.ContainerError, OSError, subprocess.SubprocessError):
                traceback.print_exc()  # something went away meanwhile, or Docker was slow: the next look tells

    def _look_at_everything(self) -> None:
        for deployment in self._objects.list("Deployment"):
            self._roll_out(deployment)
        for pod in list(self.pods.values()):
            self._look_at(pod)
        for service in self._objects.list("Service"):
            self._route(service)
        self._close_addresses()

    def _roll_out(self, deployment: Object) -> None:
        space, name = deployment["metadata"]["namespace"], deployment["metadata"]["name"]
        template = deployment["spec"]["template"]
        text = json.dumps(template, sort_keys=True)
        mine = [pod for pod in self.pods.values() if pod.spec["owner"] == (space, name)]
        newest = [pod for pod in mine if pod.spec["template"] == text]
        wanted = deployment["spec"]["replicas"]
        if len(newest) < wanted:
            self._create(space, name, template, text)
        ready = [pod for pod in newest if pod.is_ready]
        surplus = newest[wanted:]
        if len(ready) >= min(wanted, len(newest)) and len(newest) >= wanted:
            surplus += [pod for pod in mine if pod not in newest]
        for pod in surplus:
            self._leave(pod)
        left = [pod for pod in mine if pod.key in self.pods]
        counted = {
            "replicas": len(left),
            "updatedReplicas": len([pod for pod in newest if pod.key in self.pods]),
            "readyReplicas": len([pod for pod in left if pod.is_ready]),
            "availableReplicas": len([pod for pod in left if pod.is_ready]),
        }
        status = {"observedGeneration": deployment["metadata"]["generation"], **{k: v for k, v in counted.items() if v}}
        self._objects.write_status((space, "Deployment", name), status)

    def _create(self, space: str, name: str, template: Object, text: str) -> None:
        key = (space, "Pod", f"{name}-{next(self._numbers):05}")
        given = {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": key[2]}}
        self._objects.create(key, {**given, "spec": template["spec"]}, "deployment-controller")
        pod = Pod(key, {"owner": (space, name), "template": text, **template["spec"]})
        self.pods[key] = pod
        self._start(pod)

    def _start(self, pod: Pod) -> None:
        container = pod.spec["containers"][0]
        pod.waiting = ("", "")
        try:
            environment = {one["name"]: self._value_of(pod.key[0], one) for one in container.get("env", [])}
        except KeyError as error:
            pod.waiting = ("CreateContainerConfigError", str(error.args[0]))
            return
        try:
            pod.container = engine.start_container(container["image"], environment=environment)
        except engine.ContainerError as error:
            first = str(error).partition("\n")[0]
            pod.waiting = ("ImagePullBackOff", first)
            if "ended at once" in first:
                pod.waiting, pod.restarts, pod.exit_code = _CRASHING, pod.restarts + 1, 1
                pod.previous_lines = str(error).splitlines()[1:]

    def _value_of(self, space: str, variable: Object) -> str:
        if "value" in variable:
            return str(variable["value"])
        reference = variable["valueFrom"]["secretKeyRef"]
        try:
            secret = self._objects.get((space, "Secret", reference["name"]))
        except ApiError:
            raise KeyError(f'secret "{reference["name"]}" not found') from None
        if reference["key"] not in secret["data"]:
            raise KeyError(f"couldn't find key {reference['key']} in Secret {space}/{reference['name']}")
        return base64.b64decode(secret["data"][reference["key"]]).decode()

    def _look_at(self, pod: Pod) -> None:
        """Probe the pod as its readiness probe does, and start it again if it ended."""
        if pod.container is not None:
            state = engine.read_state(pod.container) if not pod.is_ready else {"Status": "running"}
            pod.is_ready = state["Status"] == "running" and _is_answering(pod)
            if not pod.is_ready and engine.read_state(pod.container)["Status"] != "running":
                pod.exit_code = int(str(engine.read_state(pod.container).get("ExitCode", 1)))
                pod.previous_lines = engine.read_logs(pod.container, 200)
                engine.remove_container(pod.container)
                pod.container, pod.restarts = None, pod.restarts + 1
                if pod.restarts < _CRASHES:
                    self._start(pod)
                else:
                    pod.waiting = _CRASHING
        self._objects.write_status(pod.key, _describe(pod))

    def _leave(self, pod: Pod) -> None:
        """Take the pod from its Services, then end it."""
        pod.is_ready = False
        self.pods.pop(pod.key, None)
        with contextlib.suppress(ApiError):
            self._objects.delete(pod.key)
        for service in self._objects.list("Service"):
            self._route(service)
        self._end(pod)

    def _end(self, pod: Pod) -> None:
        if pod.container is not None:
            thread = threading.Thread(target=engine.remove_container, args=(pod.container,))
            thread.start()
            self._ending.append(thread)

    def _route(self, service: Object) -> None:
        key = (service["metadata"]["namespace"], "Service", service["metadata"]["name"])
        port = service["spec"]["ports"][0]["port"] if service["spec"].get("type") == "LoadBalancer" else 0
        if key not in self._proxies:
            self._hosts[key] = _choose_host() if port else "127.0.0.1"
            self._proxies[key] = WeightedProxy((self._hosts[key], port))
        if port and not service.get("status", {}).get("loadBalancer"):  # new, or made anew since the last look
            self._objects.write_status(key, {"loadBalancer": {"ingress": [{"ip": self._hosts[key]}]}})
        selected = {
            one["metadata"]["name"]
            for one in self._objects.list("Pod", key[0], service["spec"].get("selector") or {"": ""})
        }
        ready = [pod for pod in self.pods.values() if pod.key[2] in selected and pod.is_ready and pod.container]
        self._proxies[key].split({pod.container.url: 1 for pod in ready if pod.container})

    def _close_addresses(self) -> None:
        there = {
            (one["metadata"]["namespace"], "Service", one["metadata"]["name"]) for one in self._objects.list("Service")
        }
        for key in self._proxies.keys() - there:
            self._proxies.pop(key).stop()


def _choose_host() -> str:
    """Return an address of loopback that no other cluster has, of this process or another."""
    return f"127.{os.getpid() % 250 + 2}.{os.getpid() // 250 % 250}.{next(_HOSTS) % 250 + 1}"


def _is_answering(pod: Pod) -> bool:
    probe = pod.spec["containers"][0].get("readinessProbe", {}).get("httpGet", {"path": "/"})
    assert pod.container
    try:
        with urllib.request.urlopen(pod.container.url + probe["path"], timeout=3):
            return True
    except OSError:
        return False


def _describe(pod: Pod) -> Object:
    state: Object
    if pod.waiting[0]:
        state = {"waiting": {"reason": pod.waiting[0], "message": pod.waiting[1]}}
    else:
        state = {"running": {"startedAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:00Z")}}
    container: dict[str, Any] = {
        "name": pod.spec["containers"][0]["name"],
        "image": pod.spec["containers"][0]["image"],
        "imageID": "",
        "ready": pod.is_ready,
        "restartCount": pod.restarts,
        "state": state,
    }
    if pod.restarts:
        container["lastState"] = {"terminated": {"exitCode": pod.exit_code, "reason": "Error"}}
    ready = {"type": "Ready", "status": "True" if pod.is_ready else "False"}
    phase = "Running" if pod.container else "Pending"
    return {"phase": phase, "conditions": [ready], "containerStatuses": [container]}
