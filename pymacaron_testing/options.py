"""The options of the plugin: each is also a line of pytest.ini, ``pymacaron_max_time = 30``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

DEFAULT_REPORT = "pymacaron-report.json"
DEFAULT_MAX_EXAMPLES = 20
DEFAULT_PAIRS = 300
DEFAULT_METRICS_PATH = "/metrics"
PROFILES = ("live", "quick", "full")


@dataclass(frozen=True, slots=True)
class Option:
    """An option: ``max-time`` is --pymacaron-max-time and pymacaron_max_time in pytest.ini.

    read: makes the value of its text, raising ValueError. is_list: it may be given several times.
    """

    name: str
    metavar: str
    help: str
    read: Callable[[str], object] = str
    default: object = None
    is_list: bool = False

    @property
    def flag(self) -> str:
        """As on the command line."""
        return f"--pymacaron-{self.name}"

    @property
    def key(self) -> str:
        """As in pytest.ini."""
        return "pymacaron_" + self.name.replace("-", "_")


OPTIONS = (
    Option("target", "URL", "the live service to test; or cmd:COMMAND, docker:IMAGE to start one"),
    Option("ready", "PATH|URL", "what a started target answers below 500 once it is ready; default /", default="/"),
    Option("spec", "FILE|URL", "its API document, if not apis/*.yaml"),
    Option(
        "auth",
        "'HEADER: VALUE'",
        "header line that identifies a user, or ?KEY=VALUE; another line for the same header is the next user",
        is_list=True,
    ),
    Option("auth-file", "FILE", "users in the Web Fuzzing Commons format: fixed headers or logins"),
    Option(
        "refused", "'HEADER: VALUE'", "header line that the target must refuse: an expired token, say", is_list=True
    ),
    Option("jwt-secret-env", "NAME", "environment variable with the secret that signs the target's JWTs"),
    Option("profile", "|".join(PROFILES), "live changes nothing, quick sends no random cases; default full"),
    Option("max-time", "SECONDS", "time for all contract items, shared among them", float),
    Option("max-latency", "MS", "milliseconds within which each operation must answer", float),
    Option("seed", "N", "other random cases", int, 0),
    Option(
        "max-examples",
        "N",
        f"random cases an operation, besides those that the document's rules give; default {DEFAULT_MAX_EXAMPLES}",
        int,
        DEFAULT_MAX_EXAMPLES,
    ),
    Option("baseline", "URL", "another release of the service, whose answers are compared"),
    Option(
        "pairs",
        "N",
        f"requests that each release gets of a reading operation, by turns, to compare times; default {DEFAULT_PAIRS}",
        int,
        DEFAULT_PAIRS,
    ),
    Option(
        "metrics-path",
        "PATH",
        f"path of the target's metrics; default {DEFAULT_METRICS_PATH}",
        default=DEFAULT_METRICS_PATH,
    ),
    Option("metrics-token-env", "NAME", "environment variable with the token that the page of metrics asks for"),
    Option("report", "FILE", f"where the report goes; default {DEFAULT_REPORT}", default=DEFAULT_REPORT),
)
_BY_NAME = {option.name: option for option in OPTIONS}


def add_options(parser: pytest.Parser) -> None:
    """Add the options and their lines of pytest.ini."""
    group = parser.getgroup("pymacaron", "contract and black-box tests of a live service")
    group.addoption("--pymacaron", action="store_true", dest="pymacaron", help="test the service in this folder")
    parser.addini("pymacaron", "test the service in this folder, as with --pymacaron", type="bool", default=False)
    for option in OPTIONS:
        action = "append" if option.is_list else "store"
        text = option.help.replace("%", "%%")
        group.addoption(option.flag, action=action, metavar=option.metavar, dest=option.key, default=None, help=text)
        kind = "linelist" if option.is_list else "string"
        parser.addini(option.key, f"as {option.flag}", type=kind, default=[] if option.is_list else "")  # type: ignore[arg-type]


def read_option(config: pytest.Config, name: str) -> object:
    """Return the value of an option: the command line's, else that of pytest.ini, else the default.

    Raises: ValueError: the text is no such value.
    """
    option = _BY_NAME[name]
    given = config.getoption(option.key)
    if given is None:
        given = config.getini(option.key) or None
    if option.is_list:
        return tuple(given or ())
    return option.default if given is None else option.read(str(given))


def is_given(config: pytest.Config, name: str) -> bool:
    """Tell whether the option is on the command line or in pytest.ini."""
    key = _BY_NAME[name].key
    return bool(config.getoption(key) or config.getini(key))
