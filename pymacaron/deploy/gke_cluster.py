"""A cluster of GKE: found by its name, asked over its own interface, one namespace of it."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from typing import Any

import kubernetes.client
import urllib3.exceptions
from google.auth.transport.requests import Request
from google.cloud.container_v1 import ClusterManagerClient
from kubernetes.client.exceptions import ApiException

from pymacaron.deploy.gcp import GcpSettings, connect, find_credentials, told_as_ours
from pymacaron.exceptions import Finding, TargetError

MANAGER = "pymacaron"
"""The field manager of all that is applied here. Source: Kubernetes, "Server-Side Apply"."""
SWITCH = "pymacaron-switch"
"""The field manager of the live Service's selector alone."""
_TIMEOUT_S = 30.0
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_NOT_FOUND = 404
_CONFLICT = 409
_GROUPS = {
    "ConfigMap": ("v1", "configmaps"),
    "Deployment": ("apps/v1", "deployments"),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers"),
    "Pod": ("v1", "pods"),
    "Service": ("v1", "services"),
}


class ClusterConflict(TargetError):  # noqa: N818 - what happened: another one was first, or owns the field
    """The cluster refused a change because of what another one did."""


class MissingError(TargetError):
    """There is no such object."""


class Cluster:
    """One namespace of a cluster; objects are dicts as Kubernetes has them.

    Every method raises TargetError with the cluster's own message, ClusterConflict where it answers 409.
    """

    def __init__(self, api: kubernetes.client.ApiClient, credentials: Any, *, namespace: str, where: str) -> None:
        """Take a client that knows the address, and credentials of google.auth. where: what messages call it."""
        self._api = api
        self._credentials = credentials
        self.namespace = namespace
        self.where = where

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return the object, None if there is none."""
        return self._find("GET", self._path(kind, name))

    def list_all(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """Return all objects of *kind* whose labels fit *selector*; none without the namespace."""
        query = {"labelSelector": selector} if selector else {}
        items: list[dict[str, Any]] = self._ask("GET", self._path(kind), query)["items"]
        return items

    def apply(self, manifest: dict[str, Any], *, is_dry_run: bool = False) -> dict[str, Any]:
        """Apply *manifest* on the server's side and return the object; what others manage is a conflict."""
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict", "force": "false"}
        if is_dry_run:
            query["dryRun"] = "All"
        path = self._path(manifest["kind"], manifest["metadata"]["name"])
        return self._ask("PATCH", path, query, body=manifest, content_type=_APPLY)

    def switch(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Apply the few fields of *manifest*, whoever set them before, and leave all others as they are.

        By a manager of its own: what a manager applied once and leaves out the next time is removed.
        """
        query = {"fieldManager": SWITCH, "fieldValidation": "Strict", "force": "true"}
        path = self._path(manifest["kind"], manifest["metadata"]["name"])
        return self._ask("PATCH", path, query, body=manifest, content_type=_APPLY)

    def create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create the object, which must not be there."""
        return self._ask("POST", self._path(manifest["kind"]), {"fieldManager": MANAGER}, body=manifest)

    def replace(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Replace the object, whose resourceVersion must still be the one in *manifest*."""
        path = self._path(manifest["kind"], manifest["metadata"]["name"])
        return self._ask("PUT", path, {"fieldManager": MANAGER}, body=manifest)

    def delete(self, kind: str, name: str, *, resource_version: str | None = None) -> None:
        """Delete the object if it still has that version; nothing if it is gone."""
        body: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if resource_version:
            body["preconditions"] = {"resourceVersion": resource_version}
        self._find("DELETE", self._path(kind, name), body=body)

    def scale(self, deployment: str, replicas: int) -> None:
        """Set how many pods *deployment* has, by the same door as an autoscaler: no manifest owns the number."""
        path = f"{self._path('Deployment', deployment)}/scale"
        self._ask("PATCH", path, {}, body={"spec": {"replicas": replicas}}, content_type=_MERGE)

    def ensure_namespace(self) -> None:
        """Create the namespace if it is not there."""
        if not self.has_namespace():
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
            try:
                self._ask("POST", "/api/v1/namespaces", {"fieldManager": MANAGER}, body=body)
            except ClusterConflict:
                return

    def has_namespace(self) -> bool:
        """Tell whether the namespace is there."""
        return self._find("GET", f"/api/v1/namespaces/{self.namespace}") is not None

    def read_log(self, pod: str, *, lines: int, is_previous: bool = False) -> list[str]:
        """Return the last *lines* of *pod*'s output; previous: of the container before the last restart."""
        query = {"tailLines": str(lines), "previous": str(is_previous).lower()}
        return self._send("GET", f"{self._path('Pod', pod)}/log", query).decode(errors="replace").splitlines()

    def fetch(self, pod: str, port: int, path: str) -> str:
        """Return what *pod* answers to a GET of *path*, asked through the cluster's proxy."""
        return self._send("GET", f"{self._path('Pod', f'{pod}:{port}')}/proxy{path}", {}).decode()

    def _path(self, kind: str, name: str = "") -> str:
        version, plural = _GROUPS[kind]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def _find(self, method: str, path: str, body: Any = None) -> dict[str, Any] | None:
        try:
            return self._ask(method, path, {}, body=body)
        except MissingError:
            return None

    def _ask(
        self, method: str, path: str, query: dict[str, str], *, body: Any = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._send(method, path, query, body=body, content_type=content_type))
        return answer

    def _send(
        self, method: str, path: str, query: dict[str, str], *, body: Any = None, content_type: str = "application/json"
    ) -> bytes:
        headers = {"Accept": "application/json, */*", "Content-Type": content_type}
        url = self._api.configuration.host + path
        with told_as_ours(self.where):
            self._credentials.before_request(Request(), method, url, headers)
        try:
            answer = self._api.rest_client.request(
                method,
                url,
                query_params=list(query.items()),
                headers=headers,
                body=body,
                _request_timeout=_TIMEOUT_S,
            )
        except ApiException as error:
            raise self._tell(method, path, error) from error
        except urllib3.exceptions.HTTPError as error:
            found = f"{method} {path}: {type(error).__name__}: {error}"
            raise TargetError(Finding(self.where, found, "See whether the cluster can be reached from here")) from error
        data: bytes = answer.data
        return data

    def _tell(self, method: str, path: str, error: ApiException) -> TargetError:
        """Return the cluster's refusal as our error, with the message of its Status object."""
        body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or "")
        try:
            text = str(json.loads(body)["message"])
        except (ValueError, KeyError, TypeError):
            text = body.strip() or str(error.reason)
        kind = {_NOT_FOUND: MissingError, _CONFLICT: ClusterConflict}.get(int(error.status or 0), TargetError)
        found = f"{method} {path} is answered {error.status}: {text.rstrip('.')}"
        return kind(Finding(self.where, found, "Mend that, and try again"))


def find_cluster(project: str, settings: GcpSettings, *, name: str, namespace: str) -> Cluster:
    """Return the cluster called *name*: GKE tells its address and authority, the token is that of the credentials.

    No gcloud, no kubectl and no plugin of theirs is needed. Raises TargetError.
    """
    endpoint = settings.gcp_endpoints.get("container")
    where = f"GKE cluster {name} in {settings.gcp_region}"
    with told_as_ours(where):
        path = f"projects/{project}/locations/{settings.gcp_region}/clusters/{name}"
        found = connect(ClusterManagerClient, endpoint).get_cluster(name=path)
    api = make_client(found.endpoint, found.master_auth.cluster_ca_certificate)
    return Cluster(api, find_credentials(endpoint), namespace=namespace, where=where)


def make_client(address: str, authority: str) -> kubernetes.client.ApiClient:
    """Return a client of the API at *address*, which must show a certificate of *authority*, PEM in base64."""
    configuration = kubernetes.client.Configuration()
    configuration.host = f"https://{address}"
    with tempfile.NamedTemporaryFile(prefix="pymacaron-", suffix=".pem") as file:
        file.write(base64.b64decode(authority))
        file.flush()
        configuration.ssl_ca_cert = file.name
        api = kubernetes.client.ApiClient(configuration)
        # The client would read the file at its first request, when it is gone.
        api.rest_client.pool_manager.connection_pool_kw["ssl_context"] = ssl.create_default_context(cafile=file.name)
    for name in ("ca_certs", "cert_file", "key_file", "cert_reqs"):
        api.rest_client.pool_manager.connection_pool_kw.pop(name, None)
    return api
