"""Whether a value that came back is the one that was sent, whatever a decent service may do to its spelling."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pymacaron_testing.declared import branches_of
from pymacaron_testing.fields import merge_rules
from pymacaron_testing.kinds import properties_of
from pymacaron_testing.resources import normalise

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject

_PROSE = {"name", "title", "description", "text", "body", "content", "note", "notes", "comment", "label", "summary"}
_SECRETS = ("password", "secret", "token", "pin", "passwd", "passphrase")
_VOLATILE = re.compile(
    r"updated|modified|changed|accessed|seen|version|revision|etag|token|expire|views|count|hits|age$|score|rank|now|url"
    r"|link|href|signature|nonce|total|status|state|remaining|last"
)
_TOLERANCE_S = 1.0


def is_kept(sent: Json, read: Json, rules: Mapping[str, Json], name: str = "") -> bool:
    """Tell whether *read* is *sent*, allowing for what a service may do to it on purpose.

    Instants may stand in another zone and lose fractions of a second, lists their order and doubles, texts the spaces
    around them; emails, codes and the like their case; an empty text or list may be nothing at all, an object may get
    more in it.
    rules: keywords of the schema.
    """
    if sent is None or sent in ("", [], {}):
        return read is None or read == sent or (sent == {} and isinstance(read, dict))
    if isinstance(sent, bool) or isinstance(read, bool):
        return sent is read
    if isinstance(sent, int | float):
        return _is_same_number(sent, read)
    if isinstance(sent, str):
        return isinstance(read, str | int | float) and _is_same_text(sent, str(read), rules, normalise(name))
    if isinstance(sent, list):
        return isinstance(read, list) and _are_same_items(sent, read)
    return _is_same_object(sent, read, rules.get("properties", {}))


def is_lost(sent: Json) -> bool:
    """Tell whether something is lost if *sent* does not come back at all."""
    return not (sent is None or sent in ("", [], {}))


def find_lost(
    sent: JsonObject, read: JsonObject, schema: JsonObject | None, document: JsonObject, ignore: frozenset[str]
) -> dict[str, str]:
    """Return the properties of *sent* that *read* does not show as they were sent: name -> what it shows, in words.

    Judged are those that *schema*, of the answer, has too, but for secrets and those in *ignore*.
    """
    declared = properties_of(schema, document)
    found: dict[str, str] = {}
    for name, value in sent.items():
        if name not in declared or name in ignore or _is_secret(name, declared[name], document):
            continue
        rules = merge_rules(declared[name], document)
        if name not in read:
            if is_lost(value) or value in (0, False):
                found[name] = f"{name} was {value!r} and is not there"
        elif not is_kept(value, read[name], rules, name):
            found[name] = f"{name} was {value!r} and is {read[name]!r}"
    return found


def find_changed(before: JsonObject, after: JsonObject, names: frozenset[str]) -> dict[str, str]:
    """Return those of *names* whose values differ between two answers: name -> the difference in words."""
    found: dict[str, str] = {}
    for name in sorted(names):
        old, new = before.get(name), after.get(name)
        if not is_same_answer(old, new):
            found[name] = f"{name} was {old!r} and is {new!r}"
    return found


def is_same_answer(old: Json, new: Json) -> bool:
    """Tell whether two answers of a service say the same: instants and decimals may be written in another way."""
    if old == new and type(old) is type(new):
        return True
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(any(is_same_answer(item, other) for other in new) for item in old)
    if isinstance(old, dict) and isinstance(new, dict):
        return all(is_same_answer(old.get(key), new.get(key)) for key in old.keys() | new.keys())
    if isinstance(old, bool) or isinstance(new, bool) or old is None or new is None:
        return False
    first, second = read_instant(old), read_instant(new)
    if first is not None and second is not None:
        return abs(first - second) < _TOLERANCE_S
    return isinstance(old, int | float) and _is_same_number(old, new)


def is_volatile(name: str) -> bool:
    """Tell whether a property of this name may change by itself."""
    return bool(_VOLATILE.search(normalise(name)))


def read_instant(text: Json) -> float | None:
    """Return a date or date-time as seconds since 1970, None if it is none. Without a zone it is UTC."""
    if not isinstance(text, str) or not re.match(r"\d{4}-\d\d-\d\d", text):
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def _is_same_object(sent: JsonObject, read: Json, rules: Mapping[str, JsonObject]) -> bool:
    """Tell whether *read* is an object, and keeps what it has of *sent*."""
    return isinstance(read, dict) and all(
        key not in read or is_kept(value, read[key], rules.get(key, {}), key) for key, value in sent.items()
    )


def _is_secret(name: str, rule: JsonObject, document: JsonObject) -> bool:
    is_hidden = any(branch.get("writeOnly") for branch in branches_of(rule, document))
    return is_hidden or rule.get("format") == "password" or normalise(name).endswith(_SECRETS)


def _is_same_number(sent: float, read: Json) -> bool:
    if isinstance(read, str):
        try:
            read = float(read)
        except ValueError:
            return False
    if not isinstance(read, int | float):
        return False
    if isinstance(sent, int) and isinstance(read, int):
        return sent == read
    return abs(sent - read) <= 1e-9 * max(abs(sent), 1)


def _is_same_text(sent: str, read: str, rules: Mapping[str, Json], name: str) -> bool:
    if sent == read:
        return True
    first, second = read_instant(sent), read_instant(read)
    if first is not None and second is not None and rules.get("format") in {None, "date-time"}:
        return abs(first - second) < _TOLERANCE_S
    ours, theirs = (" ".join(unicodedata.normalize("NFC", text).split()) for text in (sent, read))
    if rules.get("format") in {"decimal", "number"} and ours.replace(".", "").isdigit():
        return _is_same_number(float(ours), theirs)
    if name in _PROSE or any(name.endswith(word) for word in ("name", "title", "description")):
        return ours == theirs
    return ours.casefold().rstrip("/") == theirs.casefold().rstrip("/")


def _are_same_items(sent: list[Json], read: list[Json]) -> bool:
    """Tell whether the lists hold the same, in any order, once or several times."""
    return all(any(is_kept(item, other, {}) for other in read) for item in sent) and all(
        any(is_kept(item, other, {}) for item in sent) for other in read
    )
