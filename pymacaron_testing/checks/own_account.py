"""What is said of the user who asks is said of that one: an answer kept for all users shows somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymacaron_testing.belongings import OWNER, STRANGER
from pymacaron_testing.confirm import Outcome
from pymacaron_testing.resources import normalise
from pymacaron_testing.things import plain_case
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.suite import Suite

_OWN_PATHS = {"me", "self", "whoami", "profile", "account", "myself", "user", "session", "userinfo", "currentuser"}
# Properties that no two users share.
_NAMES = {
    "id", "userid", "uid", "uuid", "user", "username", "login", "email", "sub", "subject", "handle", "accountid",
    "owner", "ownerid", "principal", "slug", "keyid",
}  # fmt: skip


def check_own_account(suite: Suite, operation: Operation) -> Outcome:
    """Ask as one user and right after as another one who they are; the answers may not name the same one."""
    found = [_ask_both(suite, operation)]
    if found[0] is not None:
        found.append(_ask_both(suite, operation))
    exchange, again = found[0], found[-1]
    if exchange is None or again is None:
        return Outcome()
    failure = suite.build_failure(
        exchange,
        "others_answer",
        promise=f"{name_of(operation)} tells each user of that user alone; right after it told another one the same",
        pointer=operation.pointer,
    )
    return Outcome((failure.times(2),))


def is_own_account(operation: Operation) -> bool:
    """Tell whether *operation* tells who asks: ``GET /me``."""
    word = operation.path.rstrip("/").rpartition("/")[2]
    return operation.method.upper() == "GET" and "{" not in operation.path and normalise(word) in _OWN_PATHS


def name_same_user(one: Json, other: Json) -> bool:
    """Tell whether two answers name the same user: they are equal, and have a property that no two users share."""
    if not isinstance(one, dict) or one != other:
        return False
    inner = [value for value in one.values() if isinstance(value, dict)]
    names = {normalise(key) for item in (one, *inner) for key, value in item.items() if isinstance(value, str | int)}
    return bool(names & _NAMES)


def _ask_both(suite: Suite, operation: Operation) -> Exchange | None:
    """Return the second user's exchange if it names the first one."""
    case = plain_case(suite, operation)
    if case is None:
        return None
    own = suite.send_apart(case, {}, user=OWNER)
    other = suite.send_apart(case, {}, user=STRANGER)
    if not own.is_success or not other.is_success:
        return None
    return other if name_same_user(own.read_json(), other.read_json()) else None
