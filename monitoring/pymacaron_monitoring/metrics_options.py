"""Options of the commands that read a running service's page of metrics: where it is, and which token it takes."""

from __future__ import annotations

import os

import click

from pymacaron.exceptions import Finding, TargetError

METRICS_PATH = "/metrics"
_TOKEN_VARIABLE = "PYMACARON_METRICS_TOKEN"  # noqa: S105 - the name of a variable, no token

metrics_path_option = click.option(
    "--metrics-path", default=METRICS_PATH, show_default=True, help="Where a service shows its metrics."
)
token_option = click.option(
    "--metrics-token-env",
    "token_variable",
    default=_TOKEN_VARIABLE,
    show_default=True,
    help="Environment variable with the bearer token that they ask for.",
)


def read_token(variable: str) -> str | None:
    """Return the token in an environment variable, None if there is none.

    Raises: TargetError: the variable is not set, though somebody named it.
    """
    token = os.environ.get(variable)
    if not token and variable != _TOKEN_VARIABLE:
        found = f"the environment variable {variable} is not set"
        raise TargetError(Finding("--metrics-token-env", found, "Set it, or leave the option out"))
    return token or None
