"""What the supervisor and its workers tell each other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pymacaron.exceptions import Finding


class Order(Enum):
    """What a worker is to do: LEAVE once its connections are done, another has taken its place; STOP now."""

    LEAVE = "leave"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker serves."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The worker cannot load the app; it ends."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Worn:
    """The worker serves, and asks to be replaced; reason: for the log."""

    reason: str


Report = Ready | Refused | Worn
