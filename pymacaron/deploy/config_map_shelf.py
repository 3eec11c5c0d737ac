"""Lock and journal as ConfigMaps beside the service, written on the condition of their resourceVersion."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from pymacaron.deploy.gke_cluster import Cluster, ClusterConflict
from pymacaron.deploy.target import ShelfConflict
from pymacaron.exceptions import Finding, TargetError

_KEY = "pymacaron/key"
_SHELF = "pymacaron/shelf"
_DATA = "data"


class ConfigMapShelf:
    """One ConfigMap for each key, up to 1 MiB; the namespace is made by the first write if it is not there."""

    def __init__(self, cluster: Cluster, app: str) -> None:
        """Take the cluster, and the service whose shelf it is."""
        self._cluster = cluster
        self._app = app

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Return the data and the resourceVersion, None if there is no such key."""
        found = self._cluster.get("ConfigMap", self._name(key))
        if found is None:
            return None
        return base64.b64decode(found["binaryData"][_DATA]), str(found["metadata"]["resourceVersion"])

    def put(self, key: str, data: bytes, tag: str | None) -> str:
        """Write the key if its resourceVersion is *tag* still. Raises ShelfConflict."""
        manifest = self._build(key, data)
        try:
            if tag is None:
                self._cluster.ensure_namespace()
                done = self._cluster.create(manifest)
            elif self.get(key) is None:
                raise self._conflict(key)
            else:
                manifest["metadata"]["resourceVersion"] = tag
                done = self._cluster.replace(manifest)
        except ClusterConflict as error:
            raise self._conflict(key) from error
        return str(done["metadata"]["resourceVersion"])

    def delete(self, key: str, tag: str) -> None:
        """Remove the key if its resourceVersion is *tag* still. Raises ShelfConflict."""
        try:
            self._cluster.delete("ConfigMap", self._name(key), resource_version=tag)
        except ClusterConflict as error:
            raise self._conflict(key) from error

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with *prefix*, sorted."""
        found = self._cluster.list_all("ConfigMap", f"{_SHELF}={self._app}")
        keys = [one["metadata"]["annotations"][_KEY] for one in found]
        return sorted(key for key in keys if key.startswith(prefix))

    def _name(self, key: str) -> str:
        return f"{self._app}-pymacaron-{hashlib.sha256(key.encode()).hexdigest()[:16]}"

    def _build(self, key: str, data: bytes) -> dict[str, Any]:
        metadata = {"name": self._name(key), "labels": {_SHELF: self._app}, "annotations": {_KEY: key}}
        binary = {_DATA: base64.b64encode(data).decode()}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "binaryData": binary}

    def _conflict(self, key: str) -> TargetError:
        where = f"{self._cluster.where}, namespace {self._cluster.namespace}: {key}"
        return ShelfConflict(Finding(where, "another one wrote it meanwhile", "Read it again"))
