"""Tokens for tests, minted with the service's own configuration; as a program it prints one."""

from __future__ import annotations

import sys

from pymacaron.auth import generate_token
from pymacaron.config import get_config, load_config, set_config
from pymacaron.exceptions import StartupError
from pymacaron_testing.credentials import Credentials
from pymacaron_testing.signing import USER_ID

ORIGIN = "python -m pymacaron_testing.tokens prints one, in the service's folder"


def mint_token(user_id: str = USER_ID, **claims: object) -> str:
    """Return a JWT of *user_id* with further *claims*, as the service itself would issue it.

    Raises: ConfigError: the configuration in force has no secret, issuer or audience.
    """
    return generate_token(user_id, data=dict(claims))


def can_mint() -> bool:
    """Tell whether the configuration in force can sign tokens."""
    config = get_config()
    return bool(config.jwt_secret or config.jwt_private_key)


def mint_credentials(user_id: str = USER_ID, *, scopes: tuple[str, ...] = ()) -> Credentials:
    """Return the bearer token of a user, with *scopes*. Raises ConfigError."""
    token = mint_token(user_id, scope=" ".join(scopes)) if scopes else mint_token(user_id)
    return Credentials("Authorization", f"Bearer {token}", ORIGIN)


def main(arguments: list[str]) -> int:
    """Print a token for the user that the first argument names. Returns the exit code, 2 for a bad configuration."""
    try:
        set_config(load_config())
        print(mint_token(*arguments[:1]))  # noqa: T201 - the program's result
    except StartupError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
