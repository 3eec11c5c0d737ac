"""What a place to deploy to must be able to do: the `Target` protocol, its data, its errors, and how one is found."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from pymacaron.config import PymConfig
from pymacaron.exceptions import ConfigError, Finding, TargetError
from pymacaron.json_types import JsonObject

PORT = 8080
"""Where a release's container listens; the environment variable PORT tells it so."""

_VERSION = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?\Z")
_MOST_VERSION = 40
_IMAGE = re.compile(r"\S+@sha256:[0-9a-f]{64}\Z")
# deploy_target -> module, class, and the extra that brings what the module imports.
_TARGETS = {
    "docker": ("docker", "DockerTarget", ""),
    "aws-beanstalk": ("beanstalk", "BeanstalkTarget", "aws"),
    "gcp-cloud-run": ("cloud_run", "CloudRunTarget", "gcp"),
    "gke": ("gke", "GkeTarget", "gcp"),
}
TARGETS = tuple(_TARGETS)
"""Every value that `deploy_target` may have."""


class PlacementError(TargetError):
    """A release does not come up, or the target refuses what it was told; ``lines`` are the last ones of its log."""

    def __init__(self, finding: Finding, lines: Sequence[str] = ()) -> None:
        """Take the *finding*, and the last log *lines* of the release where there are any."""
        super().__init__(finding)
        self.lines = tuple(lines)
        for line in lines:
            self.add_note(line)


class ShelfConflict(TargetError):  # noqa: N818 - what happened, not what is broken: another one was first
    """What was to be written has changed, or exists already: another one was first."""


@dataclass(frozen=True, slots=True)
class Release:
    """What is deployed.

    version: unique, lower case, DNS-safe, at most 40 characters: ``20261127-181500-abc1234``. image:
    ``repository@sha256:…``, always by digest. revision: git commit, "" without one. spec_sha256: of its documents, ""
    if unknown. created: UTC. Raises: ValueError: version or image is not of that form.
    """

    version: str
    image: str
    revision: str
    spec_sha256: str
    created: datetime

    def __post_init__(self) -> None:
        """Check the form of version and image."""
        if not _VERSION.match(self.version):
            raise ValueError(f"{self.version!r} is no version: write at most 40 of a-z, 0-9 and -, as in DNS names")
        if not _IMAGE.match(self.image):
            raise ValueError(f"{self.image!r} names no image by its digest: write repository@sha256:…")

    def to_json(self) -> JsonObject:
        """Return ``{version, image, revision, spec_sha256, created}``, the time as ISO 8601 in UTC."""
        return {
            "version": self.version,
            "image": self.image,
            "revision": self.revision,
            "spec_sha256": self.spec_sha256,
            "created": self.created.astimezone(UTC).isoformat(timespec="seconds"),
        }

    @classmethod
    def from_json(cls, data: JsonObject) -> Release:
        """Return the release that `to_json` wrote. Raises ValueError or KeyError if it is none."""
        return cls(
            version=str(data["version"]),
            image=str(data["image"]),
            revision=str(data["revision"]),
            spec_sha256=str(data["spec_sha256"]),
            created=datetime.fromisoformat(str(data["created"])),
        )

    @classmethod
    def of_others(cls, name: str, image: str, created: datetime) -> Release:
        """Return what something else deployed as *name*: its end is the version.

        Where *image* is named by a tag, the digest is one of zeros: which image that was, only the provider knows.
        """
        if "@sha256:" not in image:
            path, slash, last = image.rpartition("/")
            image = f"{path}{slash}{last.partition(':')[0]}@sha256:{'0' * 64}"
        return cls(name[-_MOST_VERSION:].strip("-").replace(".", "-"), image, "", "", created)


@dataclass(frozen=True, slots=True)
class Placed:
    """One release on the target. url: where exactly it answers, at a share of 0 too. share: percent of live traffic."""

    release: Release
    url: str
    share: int


class Shelf(Protocol):
    """Where lock and journal lie, beside the deploy: a few small files that are written on conditions."""

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Return the data and its tag, None if there is no such key."""

    def put(self, key: str, data: bytes, tag: str | None) -> str:
        """Write and return the new tag. tag: what must be there still; None: nothing may be. Raises ShelfConflict."""

    def delete(self, key: str, tag: str) -> None:
        """Remove the key if *tag* is there still, and do nothing if it is gone. Raises ShelfConflict."""

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with *prefix*, sorted."""


class Target(Protocol):
    """A place to deploy to; its class takes the service's configuration, and every method can be called again.

    name: the value of `deploy_target`. steps: shares that a candidate can get one after the other, the last is 100;
    ``(100,)`` where traffic is swapped at once. live_url: where clients find the service, whatever serves it.
    All methods raise TargetError with the target's own reason. More than four methods: each is one thing that only the
    target can do, and every one is asked for by `deploy`.
    """

    @property
    def name(self) -> str:
        """Return the value of `deploy_target`; a class attribute will do."""

    @property
    def steps(self) -> tuple[int, ...]:
        """Return the shares; a class attribute will do."""

    @property
    def live_url(self) -> str:
        """Return the URL that clients call."""

    def plan(self, release: Release) -> list[str]:
        """Return sentences: what deploying *release* creates, changes and costs. Changes nothing.

        Where the provider has a dry run of its own, it was asked.
        """

    def current(self) -> list[Placed]:
        """Return every release that is there; ``[]`` before the first."""

    def stage(self, release: Release) -> Placed:
        """Start *release* at a share of 0 and return it once it answers; after a crash, find what is there already.

        Raises: PlacementError: it does not come up, with its last log lines.
        """

    def shift(self, candidate: str, baseline: str | None, percent: int) -> None:
        """Give *percent* of the traffic to the version *candidate*, the rest to *baseline*.

        Repeating it changes nothing. baseline: None if there is none; then *percent* is 100. The way back is
        ``shift(baseline, candidate, 100)``.
        No request that is under way is lost.
        """

    def check(self, version: str) -> None:
        """Do nothing if that version, staged by this deploy, runs as it was started.

        Raises: PlacementError: it has ended, was started again or is ill as far as the target knows; with its last log
        lines.
        """

    def metrics(self, version: str) -> str:
        """Return the text of ``/metrics`` of that version, all its instances summed."""

    def logs(self, version: str, lines: int = 50) -> list[str]:
        """Return the last *lines* of what that version wrote to its output."""

    def retire(self, version: str) -> None:
        """Remove that version once its requests under way have ended; nothing happens if it is gone.

        Raises: PlacementError: it has traffic.
        """

    def shelf(self) -> Shelf:
        """Return the place for lock and journal."""


def refuse(where: str, version: str, found: str, read_logs: Callable[[], list[str]]) -> PlacementError:
    """Return the error that says what was *found* about *version*, with the lines of its log."""
    finding = Finding(where, f"{version} {found.strip().rstrip('.')}", "Look at its log")
    return PlacementError(finding, read_last_lines(read_logs))


def read_last_lines(read_logs: Callable[[], list[str]]) -> list[str]:
    """Return the lines; where they cannot be read, one that says so: that must not hide why they are wanted."""
    try:
        return read_logs()
    except TargetError as error:
        return [f"(no log: {error})"]


def refuse_key(where: str, key: str, known: Iterable[str], place: str) -> Finding:
    """Return the finding about a *key* of the configuration that is none of those *known* of a deploy to *place*."""
    close = difflib.get_close_matches(key, known, n=1)
    fix = f"Write {close[0]}" if close else "Remove it"
    return Finding(where, f"no deploy to {place} reads this key", fix)


def find_target(config: PymConfig, name: str | None = None) -> Target:
    """Return the target called *name*, by default the configuration's `deploy_target`; only its module is imported.

    Raises: ConfigError: there is no such target, or a package that it needs is not installed.
    """
    name = name or config.deploy_target
    where = f"{config.config_path or 'pym-config.yaml'}: deploy_target"
    known = ", ".join(_TARGETS)
    if not name:
        raise ConfigError(Finding(where, "it is not set", f"Write one of {known}"))
    if name not in _TARGETS:
        raise ConfigError(Finding(where, f"there is no target called {name}", f"Write one of {known}"))
    module, kind, extra = _TARGETS[name]
    try:
        found = importlib.import_module(f"pymacaron.deploy.{module}")
    except ModuleNotFoundError as error:
        if not extra or (error.name or "").startswith("pymacaron"):
            raise
        fix = f"Run: pip install 'pymacaron[{extra}]'"
        raise ConfigError(Finding(where, f"{name} needs {error.name}, which is not installed", fix)) from error
    target: Target = getattr(found, kind)(config)
    return target
