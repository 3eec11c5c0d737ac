"""From commit to live and back: `pymacaron deploy`, `rollback` and `releases`, and the targets that they deploy to."""

from pymacaron.deploy.target import (
    PORT,
    Placed,
    PlacementError,
    Release,
    Shelf,
    ShelfConflict,
    Target,
    find_target,
)

__all__ = ["PORT", "Placed", "PlacementError", "Release", "Shelf", "ShelfConflict", "Target", "find_target"]
