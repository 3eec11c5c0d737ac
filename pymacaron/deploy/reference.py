"""Names of images: ``registry/repository:tag@sha256:…`` and its parts."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace

from pymacaron.exceptions import ConfigError, Finding

DOCKER_HUB = "docker.io"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A name of an image. registry: host with port. repository: path there. tag, digest: "" where there is none."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def is_plain_http(self) -> bool:
        """Tell whether the registry is on this machine, where Docker speaks HTTP without TLS too."""
        host = self.registry.rsplit(":", 1)[0] if not self.registry.endswith("]") else self.registry
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def root(self) -> str:
        """Return the URL of the repository in the registry's API (OCI distribution specification 1.1)."""
        host = "registry-1.docker.io" if self.registry == DOCKER_HUB else self.registry
        return f"{'http' if self.is_plain_http else 'https'}://{host}/v2/{self.repository}"

    @property
    def version(self) -> str:
        """Return what names one manifest: the digest, else the tag, else ``latest``."""
        return self.digest or self.tag or "latest"

    def at(self, digest: str) -> ImageReference:
        """Return the same repository's image with that *digest*."""
        return replace(self, tag="", digest=digest)

    def __str__(self) -> str:
        """Return the whole name."""
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.registry}/{self.repository}{tag}{f'@{self.digest}' if self.digest else ''}"


def parse_reference(text: str, where: str) -> ImageReference:
    """Return the parts of *text*, which may leave things out as Docker does: ``python:3.13`` is on Docker Hub.

    where: what an error names. Raises: ConfigError: *text* names no image.
    """
    name, _, digest = text.partition("@")
    first, slash, rest = name.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry, path = (first, rest) if is_host else (DOCKER_HUB, name)
    if registry in {"index.docker.io", "registry-1.docker.io"}:
        registry = DOCKER_HUB
    repository, _, tag = path.partition(":")
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    is_valid = _REPOSITORY.match(repository) and (not tag or _TAG.match(tag)) and (not digest or _DIGEST.match(digest))
    if not is_valid:
        fix = "Write small letters, as in registry.example.com/team/shop:1.2 or python:3.13-slim"
        raise ConfigError(Finding(where, f"{text!r} names no image", fix))
    return ImageReference(registry, repository, tag, digest)
