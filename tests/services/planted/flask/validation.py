"""What requests may say: one reader for each kind of value, each with the limits of openapi.yaml."""

import json
import math
import re
from calendar import monthrange

from errors import Problem
from flask import request
from planted import planted

_DIGITS = re.compile(r"-?[0-9]{1,40}\Z")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})\Z")
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?(Z|[+-]([0-9]{2}):([0-9]{2}))\Z", re.IGNORECASE)
_MISSING = object()


def read_body():
    """Return the JSON object of the request."""
    lenient = planted("content_type_ignored") and request.path.endswith("/tags")
    if request.mimetype != "application/json" and not lenient:
        raise Problem(415, "unsupported_media_type", "Send application/json.")
    try:
        body = json.loads(request.get_data().decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if planted("parser_text_leaks"):
            import traceback

            raise Problem(400, "malformed", traceback.format_exc()) from error
        raise Problem(400, "malformed", "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise Problem(400, "malformed", "The body is not a JSON object.")
    return body


def _refuse_constant(name):
    raise ValueError(name)


class Fields:
    """The fields of a JSON object; each is taken once, and in the end nothing may be left."""

    def __init__(self, body, *, partial=False):
        self.body = dict(body)
        self.partial = partial
        self.taken = {}

    def take(self, name, check, *, required=False, default=None, nullable=False):
        value = self.body.pop(name, _MISSING)
        if value is _MISSING:
            if self.partial:
                return
            if required:
                raise Problem(400, "invalid", f"{name} is missing.")
            self.taken[name] = default() if callable(default) else default
        elif value is None and nullable:
            self.taken[name] = None
        else:
            self.taken[name] = check(name, value)

    def finish(self):
        if self.body:
            raise Problem(400, "invalid", f"Unknown field: {min(self.body)[:40]!a}.")
        if self.partial and not self.taken:
            raise Problem(400, "invalid", "Name at least one field.")
        return self.taken


def text(shortest, longest, pattern=None):
    def check(name, value):
        if not isinstance(value, str):
            raise Problem(400, "invalid", f"{name} is not a string.")
        if not shortest <= len(value) <= longest:
            raise Problem(400, "invalid", f"{name} has {shortest} to {longest} characters.")
        if pattern and not re.search(pattern, value):
            raise Problem(400, "invalid", f"{name} has a wrong form.")
        return value

    return check


def integer(lowest, highest):
    def check(name, value):
        if isinstance(value, bool) and planted("boolean_is_integer"):
            return int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Problem(400, "invalid", f"{name} is not an integer.")
        if not lowest <= value <= highest:
            raise Problem(400, "invalid", f"{name} is between {lowest} and {highest}.")
        return value

    return check


def number(above, highest):
    def check(name, value):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Problem(400, "invalid", f"{name} is not a number.")
        if not above < value <= highest or math.isinf(value):
            raise Problem(400, "invalid", f"{name} is above {above} and at most {highest}.")
        return value

    return check


def boolean(name, value):
    if not isinstance(value, bool):
        raise Problem(400, "invalid", f"{name} is not true or false.")
    return value


def one_of(*members):
    def check(name, value):
        if not isinstance(value, str) or value not in members:
            raise Problem(400, "invalid", f"{name} is one of {', '.join(members)}.")
        return value

    return check


def is_date(value):
    match = isinstance(value, str) and value.isascii() and _DATE.match(value)
    if not match:
        return False
    year, month, day = map(int, match.groups())
    # The calendar repeats after 400 years; monthrange knows no year 0.
    return 1 <= month <= 12 and 1 <= day <= monthrange(year or 400, month)[1]


def date(name, value):
    if planted("calendar_unchecked") and isinstance(value, str) and _DATE.match(value):
        return value
    if not is_date(value):
        raise Problem(400, "invalid", f"{name} is not a date such as 2024-05-31.")
    return value


def is_date_time(value):
    if not isinstance(value, str) or not value.isascii() or not is_date(value[:10]) or value[10:11] not in {"T", "t"}:
        return False
    match = _TIME.match(value[11:])
    if not match:
        return False
    hour, minute, second, zone_hour, zone_minute = (int(match[number] or 0) for number in (1, 2, 3, 6, 7))
    offset = (zone_hour * 60 + zone_minute) * (-1 if match[5].startswith("-") else 1)
    # A leap second is the 61st second of the last minute of a day in UTC.
    seconds = 61 if (hour * 60 + minute - offset) % 1440 == 1439 else 60
    return hour < 24 and minute < 60 and second < seconds and zone_hour < 24 and zone_minute < 60


def date_time(name, value):
    if not is_date_time(value):
        raise Problem(400, "invalid", f"{name} is not a time such as 2024-05-31T12:00:00Z.")
    return value


def names(longest, check_one):
    def check(name, value):
        if not isinstance(value, list) or len(value) > longest:
            raise Problem(400, "invalid", f"{name} is a list of at most {longest}.")
        for one in value:
            check_one(name, one)
        if len(set(value)) < len(value):
            raise Problem(400, "invalid", f"{name} has one twice.")
        return value

    return check


def labels(name, value):
    if not isinstance(value, dict) or len(value) > 20:
        raise Problem(400, "invalid", f"{name} is an object of at most 20 labels.")
    if not all(isinstance(one, str) and len(one) <= 100 for one in value.values()):
        raise Problem(400, "invalid", f"{name} has strings of at most 100 characters.")
    return value


def query(name):
    """Return the one value of a query parameter, None where it is left out."""
    values = request.args.getlist(name)
    if len(values) > 1:
        raise Problem(400, "invalid", f"{name} stands twice in the query.")
    return values[0] if values else None


def query_integer(name, *, lowest, highest, default=None):
    value = query(name)
    if value is None:
        return default
    if not _DIGITS.match(value):
        raise Problem(400, "invalid", f"{name} is not an integer.")
    if not lowest <= int(value) <= highest:
        raise Problem(400, "invalid", f"{name} is between {lowest} and {highest}.")
    return int(value)


def query_choice(name, members):
    value = query(name)
    if value is not None and value not in members:
        raise Problem(400, "invalid", f"{name} is one of {', '.join(members)}.")
    return value
