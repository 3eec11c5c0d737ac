"""What the caller of a deploy asked for, beside the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from pymacaron.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller of a deploy asked for.

    image: ``repository@sha256:…`` of what was built elsewhere, "" to build it. is_kept: a failed candidate stays, at no
    traffic. is_ungated: no gate decides. is_breaking_allowed: the documents may break their clients.
    """

    image: str = ""
    is_kept: bool = False
    is_ungated: bool = False
    is_breaking_allowed: bool = False

    def to_json(self) -> JsonObject:
        """Return ``{image, is_kept, is_ungated, is_breaking_allowed}``."""
        return {name: getattr(self, name) for name in ("image", "is_kept", "is_ungated", "is_breaking_allowed")}
