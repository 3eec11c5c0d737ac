"""What exists on the target: values learnt from its answers, found again for the parameters of a path."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from pymacaron.json_types import Json, JsonObject

Scalar = str | int
_MAX_RECORDS = 400
_MAX_DEPTH = 4
_MAX_TURNS = 20
_PARAMETER = re.compile(r"\{([^{}]+)\}")
_KEYS = ("id", "uuid", "key", "slug", "name", "code")


@dataclass(slots=True)
class Record:
    """One thing that the target told of.

    names: what it may be called, normalised and singular (``pet``). fields: its scalar properties, normalised names.
    parents: path parameters of the request that told of it. is_own: the run created or changed it itself.
    """

    names: frozenset[str]
    fields: dict[str, Scalar]
    parents: dict[str, str] = field(default_factory=dict)
    is_own: bool = False


class Resources:
    """The things known to exist, those of the run itself first, then the newest."""

    def __init__(self) -> None:
        """Know nothing."""
        self._records: list[Record] = []
        self._turn = 0

    def learn(self, method: str, path: str, values: Mapping[str, str], *, sent: Json, answered: Json) -> None:
        """Remember what a request that succeeded tells: its path values, its JSON body and its JSON answer.

        path: the template. values: path parameters as sent, decoded.
        """
        is_own = method in {"POST", "PUT", "PATCH"}
        if method == "DELETE":
            if path.endswith("}"):
                self.forget(path, values)
            return
        parents = {normalise(name): value for name, value in values.items()}
        context = singular(_last_word(path))
        for names, found in _objects(answered, frozenset({context})):
            self._add(Record(names, found, parents, is_own))
        if is_own:
            for names, found in _objects(sent, frozenset({context})):
                self._add_secret_fields(names, found)
        if method == "PUT" and values and path.endswith("}"):
            self._add(Record(frozenset({context}), dict(_path_fields(path, values)), parents, is_own))

    def learn_location(self, path: str, location: str, template: str) -> None:
        """Remember the thing that a ``Location`` header names, if it fits *template*; *path* created it."""
        pattern = _PARAMETER.sub(r"([^/?#]+)", re.sub(r"[.+?^$()|\[\]\\]", r"\\\g<0>", template))
        match = re.search(pattern + r"/?(?:[?#].*)?$", location)
        if match and template.startswith(path):
            names = _PARAMETER.findall(template)
            values = {name: unquote(text) for name, text in zip(names, match.groups(), strict=True)}
            parents = {normalise(name): value for name, value in values.items()}
            context = singular(_last_word(template))
            self._add(Record(frozenset({context}), dict(_path_fields(template, values)), parents, is_own=True))

    def forget(self, path: str, values: Mapping[str, str]) -> None:
        """Forget the thing that the last parameter of *path* named: it is gone."""
        names = _PARAMETER.findall(path)
        if not names:
            return
        wanted = values.get(names[-1])
        words = _words_for(path, names[-1])
        self._records = [
            record
            for record in self._records
            if not (record.names & words and wanted in {str(record.fields.get(key)) for key in _keys_for(names[-1])})
        ]

    def find(self, path: str) -> dict[str, str] | None:
        """Return values for every parameter of *path* that belong to one existing thing; None if any is unknown.

        Things take turns, so that one broken one does not hide the others.
        """
        names = _PARAMETER.findall(path)
        if not names:
            return {}
        self._turn += 1
        return self._fill(path, list(names), {})

    def find_fields(self, wanted: frozenset[str]) -> JsonObject | None:
        """Return the values of the newest own thing that has all properties of *wanted* (normalised); None without."""
        for record in self._sorted(self._records):
            if wanted and wanted <= record.fields.keys():
                return {name: record.fields[name] for name in wanted}
        return None

    def find_reference(self, name: str) -> Scalar | None:
        """Return the id of an existing thing that a property called ``pet_id`` or ``petId`` refers to."""
        plain = normalise(name)
        if not plain.endswith("id") or plain == "id":
            return None
        word = singular(plain.removesuffix("id"))
        for record in self._sorted(self._records):
            if word in record.names and "id" in record.fields:
                return record.fields["id"]
        return None

    def _fill(self, path: str, names: list[str], known: dict[str, str]) -> dict[str, str] | None:
        if not names:
            return known
        name = names[-1]
        if name in known:
            return self._fill(path, names[:-1], known)
        for record, value in self._candidates(path, name):
            parents = {
                other: record.parents[normalise(other)] for other in names[:-1] if normalise(other) in record.parents
            }
            if any(known.get(other, value_of) != value_of for other, value_of in parents.items()):
                continue
            filled = self._fill(path, names[:-1], {**parents, **known, name: str(value)})
            if filled is not None:
                return filled
        return None

    def _candidates(self, path: str, name: str) -> Iterator[tuple[Record, Scalar]]:
        words, keys = _words_for(path, name), _keys_for(name)
        named = [record for record in self._sorted(self._records) if record.names & words]
        own = [record for record in named if record.is_own]
        yield from _values(_turned(own, self._turn), keys)
        yield from _values([record for record in named if not record.is_own], keys)
        plain = normalise(name)
        if plain not in _KEYS[:3]:
            yield from _values(self._sorted(self._records), (plain,))

    def _sorted(self, records: list[Record]) -> list[Record]:
        newest_first = records[::-1]
        return sorted(newest_first, key=lambda record: not record.is_own)

    def _add(self, record: Record) -> None:
        if not record.fields:
            return
        self._records.append(record)
        if len(self._records) > _MAX_RECORDS:
            self._make_room()

    def _make_room(self) -> None:
        """Keep as many things of each name: long lists of one must not push out the few of another."""
        counts = Counter(record.names for record in self._records)
        share = _MAX_RECORDS // 2 // len(counts) + 1
        kept: list[Record] = []
        for names in counts:
            group = [record for record in self._records if record.names == names]
            kept += sorted(group, key=lambda record: record.is_own)[-share:]
        kept_ids = {id(record) for record in kept}
        self._records = [record for record in self._records if id(record) in kept_ids]

    def _add_secret_fields(self, names: frozenset[str], sent: dict[str, Scalar]) -> None:
        """Complete the newest thing of these names by what was sent and not told back, a password for example."""
        for record in reversed(self._records):
            if record.names & names and all(record.fields.get(key, value) == value for key, value in sent.items()):
                record.fields.update(sent)
                return
        self._add(Record(names, sent, is_own=True))


def normalise(name: str) -> str:
    """Return *name* in lower case without separators: ``petId``, ``pet_id`` and ``Pet-ID`` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def singular(word: str) -> str:
    """Return the normalised singular of an English plural, or the word itself."""
    plain = normalise(word)
    if plain.endswith("ies") and len(plain) > len("ties"):
        return plain[:-3] + "y"
    if plain.endswith(("sses", "xes", "ches", "shes")):
        return plain[:-2]
    if plain.endswith("s") and not plain.endswith("ss"):
        return plain[:-1]
    return plain


def _objects(body: Json, names: frozenset[str], depth: int = 0) -> Iterator[tuple[frozenset[str], dict[str, Scalar]]]:
    """Yield every object inside *body* with its names and scalar properties; inner ones are named by their key."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(body, list):
        for item in body[:20]:
            yield from _objects(item, names, depth + 1)
    if not isinstance(body, dict):
        return
    scalars = {
        normalise(key): value
        for key, value in body.items()
        if isinstance(value, str | int) and not isinstance(value, bool) and value != ""
    }
    if scalars:
        yield names, scalars
    for key, value in body.items():
        if isinstance(value, dict | list):
            is_wrapper = not scalars and len(body) == 1
            inner = frozenset({singular(key)}) | (names if is_wrapper or key in {"items", "data", "results"} else set())
            yield from _objects(value, inner, depth + 1)


def _last_word(path: str) -> str:
    words = [part for part in path.split("/") if part and "{" not in part]
    return words[-1] if words else ""


def _words_for(path: str, name: str) -> frozenset[str]:
    """What the thing may be called that *name* identifies: the word before it, and the name's own first part."""
    before = path.partition("{" + name + "}")[0]
    words = {singular(_last_word(before))}
    plain = normalise(name)
    for key in _KEYS:
        if plain.endswith(key) and plain != key:
            words.add(singular(plain.removesuffix(key)))
    return frozenset(words - {""})


def _keys_for(name: str) -> tuple[str, ...]:
    """Properties that may hold the value of a parameter called *name*, likeliest first."""
    plain = normalise(name)
    keys = [plain, *(key for key in _KEYS if plain.endswith(key) and plain != key)]
    return tuple(dict.fromkeys([*keys, "id"] if plain.endswith("id") or plain not in _KEYS else keys))


def _path_fields(path: str, values: Mapping[str, str]) -> Iterator[tuple[str, Scalar]]:
    last = _PARAMETER.findall(path)[-1]
    yield normalise(last), values[last]


def _values(records: list[Record], keys: tuple[str, ...]) -> Iterator[tuple[Record, Scalar]]:
    for record in records:
        for key in keys:
            if key in record.fields:
                yield record, record.fields[key]
                break


def _turned(records: list[Record], turn: int) -> list[Record]:
    """Return the first few records rotated by *turn*."""
    few = records[:_MAX_TURNS]
    shift = turn % len(few) if few else 0
    return [*few[shift:], *few[:shift], *records[_MAX_TURNS:]]
