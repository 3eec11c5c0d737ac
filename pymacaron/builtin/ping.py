"""Handlers of ping.yaml: is the service up, and what runs there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pymacaron.builtin.ping_models import Ok
from pymacaron.service import current_service

if TYPE_CHECKING:
    from pymacaron.config import PymConfig
    from pymacaron.json_types import JsonObject

VERSION_FILE = Path("/pym/VERSION")
_OK = Ok()


def find_version(
    config: PymConfig, environment: Mapping[str, str] = os.environ, version_file: Path = VERSION_FILE
) -> str:
    """Return the version: the configuration's ``version``, PYM_VERSION, the text of *version_file*, or ``dev``."""
    stated = getattr(config, "version", None) or environment.get("PYM_VERSION")
    if stated:
        return str(stated)
    return version_file.read_text(encoding="utf-8").strip() if version_file.is_file() else "dev"


def do_ping() -> Ok:
    """Answer ``{}`` once the service's ping hooks have run; what a hook raises becomes the answer."""
    for hook in current_service().ping_hooks:
        hook()
    return _OK


def do_version() -> JsonObject:
    """Answer ``{name, version, apis, pym_env}``."""
    service = current_service()
    return {
        "name": service.config.name,
        "version": find_version(service.config),
        "apis": sorted(service.apis),
        "pym_env": os.environ.get("PYM_ENV", ""),
    }
