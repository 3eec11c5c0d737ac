"""Documents that come with pymacaron: ping, in every service, and crash, to try out error reports."""

from pathlib import Path

BUILTIN_FOLDER = Path(__file__).parent
# Security scheme of /auth/version; a service without keys for tokens starts all the same and refuses every token there.
TOKEN_SCHEME = "pymacaron_token"  # noqa: S105 - a name

__all__ = ["BUILTIN_FOLDER", "TOKEN_SCHEME"]
