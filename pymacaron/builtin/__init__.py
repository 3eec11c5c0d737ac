"""Documents that come with pymacaron: ping, in every service, and crash, to try out error reports."""

from pathlib import Path

BUILTIN_FOLDER = Path(__file__).parent

__all__ = ["BUILTIN_FOLDER"]
