"""Walks two schemas side by side: which pairs are compared, and how bad a difference is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from pymacaron.diff.change import SEVERITIES, Severity, Witness
from pymacaron.diff.flat import COMPOSITES, Direction, Flat, Part, Side, flatten
from pymacaron.diff.judge import judge
from pymacaron.diff.keywords import Difference
from pymacaron.diff.rules import KINDS, RULES, Kind
from pymacaron.diff.sameness import Sameness

_MOST_STEPS = 20_000
_BESIDE_PATTERNS = ("bound", "pattern", "format", "enum")


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One difference of two schemas.

    path: JSON pointer into the value, ``*`` for any item or name. Pointers are as `Api.place_of` takes them.
    is_of_values: it says that some value is refused now, or comes now.
    """

    rule: str
    severity: Severity
    path: str
    what: str
    old_pointer: str
    new_pointer: str
    why: str = ""
    fix: str = ""
    witness: Witness | None = None
    is_of_values: bool = False

    @property
    def harmless(self) -> SchemaChange:
        """Return the same, where it breaks nothing after all."""
        return SchemaChange(self.rule, "non-breaking", self.path, self.what, self.old_pointer, self.new_pointer)


def find_worst(changes: Iterable[SchemaChange]) -> Severity:
    """Return the worst severity of *changes*."""
    return min((change.severity for change in changes), key=SEVERITIES.index, default="non-breaking")


@dataclass(slots=True)
class SchemaWalk:
    """Compares two schemas in one direction; one walk for each body, answer or parameter.

    walk: what compares two flattened schemas. is_text: values are sent as text.
    is_closed_by_version: the new document refuses properties without a name only because it is of Swagger 2.0.
    """

    old: Side
    new: Side
    sameness: Sameness
    walk: Callable[[SchemaWalk, Flat, Flat, str], Iterator[SchemaChange]]
    is_text: bool = False
    is_closed_by_version: bool = False
    _seen: dict[tuple[str, str], Severity] = field(default_factory=dict)
    _steps: int = 0

    @property
    def direction(self) -> Direction:
        """Return which way the values go."""
        return self.old.direction

    def compare(self, old: Part, new: Part, path: str) -> list[SchemaChange]:
        """Return how *new* differs from *old*; nothing where that was told before.

        A pair that is met inside of itself counts as equal: if it is not, that shows further out.
        """
        old, new = self.old.follow(old), self.new.follow(new)
        key = (old.pointer, new.pointer)
        if key in self._seen or self.sameness.is_same(old.schema, new.schema):
            return []
        self._steps += 1
        if self._steps > _MOST_STEPS:
            self._seen[key] = "undecided"
            return [self.tell("too-large", path, "this schema was not compared", key)]
        self._seen[key] = "non-breaking"
        flats = flatten(self.old, old), flatten(self.new, new)
        changes = list(self.walk(self, *flats, path))
        self._seen[key] = find_worst(changes)
        return changes

    def compare_all(self, old: Part, new: Part) -> list[SchemaChange]:
        """Return how *new* differs from *old* as a whole: what a part says may not matter beside the others."""
        changes = self.compare(old, new, "")
        if not any(change.is_of_values and change.severity != "non-breaking" for change in changes) or self.is_text:
            return changes
        is_request = self.direction == "request"
        sides = [(self.old, old.schema), (self.new, new.schema)]
        (allowing, allowed), (demanding, demand) = sides if is_request else reversed(sides)
        if judge(allowing, allowed, demanding, demand, is_closed=False).is_possible is not False:
            return changes
        return [change.harmless if change.is_of_values else change for change in changes]

    def probe(self, old: Part, new: Part) -> Severity:
        """Return the worst that *compare* would find, and let it be told still."""
        before = dict(self._seen)
        worst = find_worst(self.compare(old, new, ""))
        known = self._seen.get((self.old.follow(old).pointer, self.new.follow(new).pointer), worst)
        self._seen = before
        return known

    def tell(self, rule: str, path: str, what: str, pointers: tuple[str, str]) -> SchemaChange:
        """Return the change that breaks *rule*, old and new pointer in *pointers*."""
        entry = RULES[rule]
        return SchemaChange(rule, entry.severity, path, what, *pointers, why=entry.why, fix=entry.fix)

    def weigh(self, difference: Difference, old: Flat, new: Flat, path: str) -> SchemaChange:
        """Return *difference* with its severity.

        A demand that no value breaks which the other side allows is harmless. Where that cannot be decided, a plain
        schema's keyword says enough; one that is composed of others does not.
        """
        kind = KINDS[difference.kind]
        is_request = self.direction == "request"
        rule = f"{self.direction}-{_effect(kind, difference)}"
        pointers = (old.place(*difference.keyword), new.place(*difference.keyword))
        harmless = SchemaChange(rule, "non-breaking", path, difference.what, *pointers)
        demand = difference.tightens if is_request else difference.loosens
        if demand is None:
            return harmless
        allowing, demanding = (self.old, self.new) if is_request else (self.new, self.old)
        allowed = (old if is_request else new).schema
        witness = None
        if difference.is_judged:
            verdict = judge(allowing, allowed, demanding, demand, is_closed=difference.kind != "closed")
            if verdict.is_possible is False:
                return harmless
            witness = verdict.witness
        # A pattern may already rule out what the new bound does.
        is_plain = difference.kind != "condition" and not COMPOSITES & allowed.keys()
        is_plain &= "pattern" not in allowed or difference.kind not in _BESIDE_PATTERNS
        severity: Severity = kind.request if is_request else kind.answer
        if witness is None and not is_plain:
            severity = "undecided"
        why = (kind.why_request if is_request else kind.why_answer) or _reason(self.direction, severity, witness)
        fix = kind.fix_request if is_request else kind.fix_answer
        return SchemaChange(
            rule, severity, path, difference.what, *pointers, why=why, fix=fix, witness=witness, is_of_values=True
        )


def _effect(kind: Kind, difference: Difference) -> str:
    if difference.tightens is None:
        return kind.loosened
    return kind.tightened if difference.loosens is None else kind.changed


def _reason(direction: Direction, severity: Severity, witness: Witness | None) -> str:
    if direction == "request":
        if witness is not None:
            return f"a client that sends {witness} is refused"
        return (
            "some of what clients send is refused"
            if severity == "breaking"
            else "some of what clients send may be refused"
        )
    if witness is not None:
        return f"a client may get {witness}, which was ruled out"
    return "a client may get what was ruled out"
