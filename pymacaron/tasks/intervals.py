"""Reads when a scheduled task is due: ``5m``, or a crontab."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pymacaron.exceptions import ConfigError, Finding

if TYPE_CHECKING:
    from celery.schedules import crontab

_INTERVAL = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])\Z")
_CRONTAB_FIELDS = 5
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read_interval(value: float | str, where: str) -> float:
    """Return *value*, seconds or a text such as ``5m``, in seconds. Raises: ConfigError: it is neither."""
    if isinstance(value, str):
        found = _INTERVAL.match(value)
        if found:
            return float(found[1]) * _SECONDS[found[2]]
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(value)
    raise ConfigError(Finding(where, f"{value!r} is no interval", 'Write seconds, or "90s", "5m", "2h", "1d"'))


def read_crontab(text: str, where: str) -> crontab:
    """Return the times that *text* means: minute, hour, day of the month, month, day of the week.

    Raises: ConfigError: it is no crontab.
    """
    from celery.schedules import crontab, crontab_parser  # noqa: PLC0415 - an optional dependency

    fields = text.split()
    fix = 'Write minute, hour, day, month and weekday: "0 4 * * mon"'
    if len(fields) != _CRONTAB_FIELDS:
        raise ConfigError(Finding(where, f"{text!r} is no crontab: it has {len(fields)} fields", fix))
    try:
        return crontab.from_string(text)
    except (crontab_parser.ParseException, ValueError, KeyError) as error:
        raise ConfigError(Finding(where, f"{text!r} is no crontab: {error}", fix)) from error
