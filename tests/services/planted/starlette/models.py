"""What callers may send. Each model is one schema of openapi.json."""

import re
from datetime import date, datetime
from typing import Annotated, Literal

from planted import planted
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

STATUSES = ("draft", "active", "paused", "done")
TIMEZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo")
LARGEST = 2**53 - 1
_STATUSES_IN = ("draft", "active", "done") if planted("paused_refused") else STATUSES
_LONGEST_NAME = 81 if planted("name_one_too_long") else 80
_CODE = r"^[A-Z]{2,5}-[0-9]{1,4}" + ("" if planted("code_end_not_anchored") else "$")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:)([0-9]{2})(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})\Z", re.IGNORECASE
)


def _whole(value):
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _day(text):
    if not _DATE.match(text):
        raise ValueError("must be a date, YYYY-MM-DD")
    date.fromisoformat(text)
    return text


def _moment(text):
    if planted("due_at_any_text"):
        return text
    found = _MOMENT.match(text)
    if not found:
        raise ValueError("must be a moment with its zone, RFC 3339")
    seconds = min(found[2], "59") if found[2] <= "60" else found[2]
    datetime.fromisoformat((found[1] + seconds + found[4]).upper())
    return text


def _distinct(items):
    if len(set(items)) < len(items):
        raise ValueError("must not repeat an item")
    return items


Whole = Annotated[int, BeforeValidator(_whole)]
Day = Annotated[str, AfterValidator(_day)]
Moment = Annotated[str, AfterValidator(_moment)]
Name = Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME)]
Code = Annotated[str, Field(pattern=_CODE)]
Tags = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=20)]], Field(max_length=8), AfterValidator(_distinct)
]
Cents = Annotated[Whole, Field(ge=0, le=LARGEST)]
Rate = Annotated[float, Field(ge=0, le=100000, allow_inf_nan=False)]
Description = Annotated[str, Field(max_length=500)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Settings(Strict):
    visibility: Literal["private", "team"] = "private"
    notify: bool = True


class ProjectIn(Strict):
    name: Name = "" if planted("name_not_required") else ...
    code: Code
    description: Description | None = None
    status: Literal[_STATUSES_IN] = "draft"
    budget_cents: Cents = 0
    hourly_rate: Rate = 0
    starts_on: Day | None = None
    tags: Tags = []
    settings: Settings = Settings()


class ProjectPatch(Strict):
    name: Name = ""
    code: Code = ""
    description: Description | None = None
    status: Literal[_STATUSES_IN] = "draft"
    budget_cents: Cents = 0
    hourly_rate: Rate = 0
    starts_on: Day | None = None
    tags: Tags = []
    settings: Settings = Settings()


Title = Annotated[str, Field(min_length=1, max_length=120)]
Priority = Annotated[Whole, Field(ge=1, le=5)]
Minutes = Annotated[Whole, Field(ge=0, le=2**31)]


class TaskIn(BaseModel):
    title: Title
    notes: Annotated[str, Field(max_length=1000)] | None = None
    priority: Priority = 3
    effort_minutes: Minutes = 0
    done: bool = False
    due_at: Moment | None = None


class TaskPatch(BaseModel):
    title: Title = ""
    notes: Annotated[str, Field(max_length=1000)] | None = None
    priority: Priority = 3
    effort_minutes: Minutes = 0
    done: bool = False
    due_at: Moment | None = None


class LabelIn(Strict):
    slug: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,29}$")]
    title: Annotated[str, Field(min_length=1, max_length=40)]
    colour: Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")] = "#888888"


class MePatch(Strict):
    display_name: Annotated[str, Field(min_length=1, max_length=60)] = ""
    timezone: Literal[TIMEZONES] = "UTC"
    newsletter: bool = False
