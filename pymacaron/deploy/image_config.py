"""What an image says about itself: how it is started, as whom, what is in it; planned as data, written elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pymacaron.deploy.image_base import Base
from pymacaron.deploy.image_layer import Layer
from pymacaron.deploy.image_packages import PACKAGES
from pymacaron.deploy.registry import OCI, Manifest
from pymacaron.deploy.target import PORT, Release
from pymacaron.json_types import JsonObject

HOME = "pym"
DATA = "data"
USER = 10001
"""Number of the user that the service runs as: a number, so that Kubernetes can see that it is not root."""

ENTRYPOINT = ("python3", "-m", "pymacaron.cli")
COMMAND = ("run", "--host", "0.0.0.0")  # noqa: S104 - a container's own address
_SECOND_NS = 1_000_000_000
_ASK = (
    "import os, urllib.request as r; "
    "r.build_opener(r.ProxyHandler({}))"
    f".open('http://127.0.0.1:' + os.environ.get('PORT', '{PORT}') + '/ping', timeout=4)"
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What an image is told. env: PYM_ENV. packages_sha256: of what was to be installed, "" for nothing."""

    name: str
    version: str
    env: str
    revision: str
    spec_sha256: str
    created: datetime
    packages_sha256: str = ""

    def to_release(self, pushed: str) -> Release:
        """Return the release of the image that was pushed as *pushed*: ``repository@sha256:…``."""
        return Release(self.version, pushed, self.revision, self.spec_sha256, self.created)

    def labels(self, base: str) -> dict[str, str]:
        """Return the image's labels (OCI image specification, "Annotations"); those that are empty are left out."""
        base_name, _, digest = base.partition("@")
        labels = {
            "org.opencontainers.image.title": self.name,
            "org.opencontainers.image.version": self.version,
            "org.opencontainers.image.revision": self.revision,
            "org.opencontainers.image.created": self.created.isoformat(timespec="seconds"),
            "org.opencontainers.image.base.name": base_name,
            "org.opencontainers.image.base.digest": digest,
            "io.pymacaron.spec.sha256": self.spec_sha256,
            "io.pymacaron.packages.sha256": self.packages_sha256,
        }
        return {name: value for name, value in labels.items() if value}

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the image's variables: those *given* by the base, and what the service needs."""
        paths = [f"/{PACKAGES}", given.get("PYTHONPATH", "")]
        revision = {"PYM_REVISION": self.revision} if self.revision else {}
        return {
            **given,
            **revision,
            "PATH": f"/{PACKAGES}/bin:{given.get('PATH', '/usr/local/bin:/usr/bin:/bin')}",
            "PYTHONPATH": ":".join(path for path in paths if path),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYM_ENV": self.env,
            "PYM_DATA_DIR": f"/{DATA}",
            "HOME": f"/{DATA}",
            "PORT": str(PORT),
        }


def healthcheck() -> list[str]:
    """Return the command that asks the service in the container whether it lives."""
    return ["python3", "-c", _ASK]


def plan_config(base: Base, layers: list[Layer], facts: Facts) -> bytes:
    """Return the config blob of an image with *layers* on *base*."""
    given: JsonObject = dict(base.config.get("config") or {})
    created = facts.created.isoformat(timespec="seconds")
    environment = facts.environment(base.environment)
    given |= {
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Entrypoint": list(ENTRYPOINT),
        "Cmd": list(COMMAND),
        "User": f"{USER}:{USER}",
        "WorkingDir": f"/{HOME}",
        "ExposedPorts": {f"{PORT}/tcp": {}},
        "Volumes": {f"/{DATA}": {}},
        "Labels": {
            **(given.get("Labels") or {}),
            **facts.labels(f"{base.name.partition('@')[0]}@{base.reference.digest}"),
        },
        "StopSignal": "SIGTERM",
        "Healthcheck": {
            "Test": ["CMD", *healthcheck()],
            "Interval": 30 * _SECOND_NS,
            "Timeout": 5 * _SECOND_NS,
            "StartPeriod": 30 * _SECOND_NS,
            "Retries": 3,
        },
    }
    config: JsonObject = {
        "created": created,
        "architecture": base.machine,
        "os": "linux",
        "config": given,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in (*base.layers, *layers)]},
        "history": [
            *base.config.get("history", []),
            *({"created": created, "created_by": "pymacaron build"} for _ in layers),
        ],
    }
    if "variant" in base.config:
        config["variant"] = base.config["variant"]
    return json.dumps(config, separators=(",", ":")).encode()


def plan_manifest(base: Base, layers: list[Layer], config: Manifest) -> Manifest:
    """Return the manifest of that image. config: its blob."""
    packed = f"{OCI}.layer.v1.tar+gzip"
    kinds = [*base.kinds, *(packed for _ in layers)]
    content: JsonObject = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": {"mediaType": f"{OCI}.config.v1+json", "digest": config.digest, "size": len(config.data)},
        "layers": [
            {"mediaType": kind, "digest": layer.blob.digest, "size": layer.blob.size}
            for kind, layer in zip(kinds, (*base.layers, *layers), strict=True)
        ],
    }
    return Manifest(json.dumps(content, separators=(",", ":")).encode(), f"{OCI}.manifest.v1+json")
