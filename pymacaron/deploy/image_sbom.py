"""The bill of materials of an image, as CycloneDX 1.6."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version

from pymacaron.json_types import JsonObject

_SEPARATORS = re.compile(r"[-_.]+")
_NAMESPACE = uuid.UUID("b9a8a8c2-3d3d-5a86-9f0d-6a54d3f4a1f7")


def write_sbom(name: str, release: str, *, created: datetime, installed: Mapping[str, str], base: str) -> bytes:
    """Return the document: the service, each Python package that was installed, and the base image by digest.

    What the base holds is not listed: its own bill says that. Equal arguments give equal bytes.
    Source: https://cyclonedx.org/docs/1.6/json/.
    """
    own: JsonObject = {"type": "application", "bom-ref": "service", "name": name, "version": release}
    packages = [_describe(package, number) for package, number in sorted(installed.items())]
    base_name, _, digest = base.partition("@")
    base_part = {"type": "container", "bom-ref": "base", "name": base_name, "version": digest or "latest"}
    document: JsonObject = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": created.isoformat(timespec="seconds"),
            "tools": {"components": [{"type": "application", "name": "pymacaron", "version": version("pymacaron")}]},
            "component": own,
        },
        "components": [*packages, base_part],
        "dependencies": [{"ref": "service", "dependsOn": [*(part["bom-ref"] for part in packages), "base"]}],
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(document, sort_keys=True))
    document["serialNumber"] = f"urn:uuid:{serial}"
    return (json.dumps(document, indent=1) + "\n").encode()


def _describe(package: str, number: str) -> JsonObject:
    """Return a package as a component; its address is a package URL, whose names are normalized as PyPI's are."""
    address = f"pkg:pypi/{_SEPARATORS.sub('-', package).lower()}@{number.replace('+', '%2B')}"
    return {"type": "library", "bom-ref": address, "name": package, "version": number, "purl": address}
