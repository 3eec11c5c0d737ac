"""How two schemas differ in oneOf and anyOf: which variant takes the values of which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pymacaron.diff.flat import VARIANTS, Flat, Part, flatten
from pymacaron.diff.judge import are_apart
from pymacaron.diff.keywords import Difference, compare_condition, show
from pymacaron.diff.walk import SchemaChange, SchemaWalk
from pymacaron.json_types import JsonObject
from pymacaron.spec.renaming import referred_name

_MOST_PAIRS = 400


@dataclass(frozen=True, slots=True)
class Choice:
    """A schema seen as a choice of variants.

    keyword: oneOf or anyOf; empty where the schema has neither, and is its own only variant. demand: what the choice
    demands of a value.
    """

    flat: Flat
    keyword: str
    variants: Sequence[Part]
    demand: JsonObject

    @property
    def place(self) -> str:
        """Return where the choice stands."""
        return self.flat.place(self.keyword)


def is_choice(flat: Flat) -> bool:
    """Tell whether *flat* has variants that can be matched with others."""
    return bool(_keyword_of(flat))


def walk_variants(walk: SchemaWalk, old: Flat, new: Flat, path: str) -> Iterator[SchemaChange]:
    """Yield variants that are gone, new or changed, and changes of the discriminator, of two schemas with variants."""
    mine, theirs = _keyword_of(old), _keyword_of(new)
    if not mine or not theirs:
        for keyword in VARIANTS:
            for difference in compare_condition(old.schema, new.schema, (keyword,)):
                yield walk.weigh(difference, old, new, path)
        return
    if mine != theirs or not walk.sameness.is_same({mine: old.schema[mine]}, {mine: new.schema[mine]}):
        choices = [
            Choice(flat, keyword, flat.children(keyword), {keyword: flat.schema[keyword]})
            for flat, keyword in ((old, mine), (new, theirs))
        ]
        yield from Matching(walk, choices[0], choices[1], path).tell()
    yield from _walk_discriminator(walk, old, new, path)


def walk_choice(walk: SchemaWalk, old: Flat, new: Flat, path: str) -> Iterator[SchemaChange]:
    """Yield how two schemas differ of which only one has variants: the other one is compared with each of them."""
    yield from Matching(walk, _choice_of(old), _choice_of(new), path).tell()


def _keyword_of(flat: Flat) -> str:
    """Return oneOf or anyOf, whichever there is; nothing if there is neither or are both."""
    present = [keyword for keyword in VARIANTS if flat.schema.get(keyword)]
    return present[0] if len(present) == 1 else ""


def _choice_of(flat: Flat) -> Choice:
    keyword = _keyword_of(flat)
    if not keyword:
        return Choice(flat, "", [Part(flat.schema, flat.pointer)], flat.schema)
    rest = {key: value for key, value in flat.schema.items() if key not in (keyword, "discriminator")}
    variants = flat.children(keyword)
    if rest:
        variants = [Part({"allOf": [rest, variant.schema]}, variant.pointer) for variant in variants]
    return Choice(flat, keyword, variants, flat.schema)


@dataclass(frozen=True, slots=True)
class Matching:
    """Finds for each variant of the allowing side one of the demanding side that takes all its values."""

    walk: SchemaWalk
    old: Choice
    new: Choice
    path: str

    @property
    def _is_request(self) -> bool:
        return self.walk.direction == "request"

    def tell(self) -> Iterator[SchemaChange]:
        """Yield what became of each variant."""
        allowing, demanding = (self.old, self.new) if self._is_request else (self.new, self.old)
        partners = {index: self._find(index, allowing, demanding) for index in range(len(allowing.variants))}
        free = [index for index in range(len(demanding.variants)) if index not in partners.values()]
        for index, variant in enumerate(allowing.variants):
            partner = partners[index]
            if partner is None:
                partner = _find_namesake(allowing, demanding, index, free)
            if partner is None:
                yield self._lost(allowing, index)
                continue
            free = [other for other in free if other != partner]
            yield from self.walk.compare(*self._pair(variant, demanding.variants[partner]), self.path)
        yield from (self._gained(demanding, index) for index in free if demanding.keyword)
        if None not in partners.values():
            yield from self._overlap(demanding)

    def _pair(self, allowing: Part, demanding: Part) -> tuple[Part, Part]:
        return (allowing, demanding) if self._is_request else (demanding, allowing)

    def _find(self, index: int, allowing: Choice, demanding: Choice) -> int | None:
        """Return the number of a variant that takes all values of variant *index*; the likeliest are tried first."""
        variant, others = allowing.variants[index], demanding.variants
        if len(allowing.variants) * len(others) > _MOST_PAIRS:
            return next((other for other, part in enumerate(others) if part.schema == variant.schema), None)
        order = sorted(range(len(others)), key=lambda other: (others[other].schema != variant.schema, other != index))
        return next(
            (other for other in order if self.walk.probe(*self._pair(variant, others[other])) == "non-breaking"), None
        )

    def _lost(self, allowing: Choice, index: int) -> SchemaChange:
        """Tell that a variant of the allowing side has no counterpart."""
        variant = allowing.variants[index]
        label = f"the variant {_label(variant, index)}"
        if self._is_request:
            what = f"{label} is gone" if allowing.keyword else f"{self.new.keyword} is new"
            difference = Difference("variant", (self.old.keyword,), what, self.new.demand, None)
            return self.walk.weigh(difference, flatten(self.walk.old, variant), self.new.flat, self.path)
        what = f"{label} is new" if allowing.keyword else f"{self.old.keyword} is gone"
        difference = Difference("variant", (self.new.keyword,), what, None, self.old.demand)
        return self.walk.weigh(difference, self.old.flat, flatten(self.walk.new, variant), self.path)

    def _gained(self, demanding: Choice, index: int) -> SchemaChange:
        label = _label(demanding.variants[index], index)
        rule, word = ("request-variant-added", "new") if self._is_request else ("answer-variant-removed", "gone")
        what = f"the variant {label} is {word}"
        return SchemaChange(rule, "non-breaking", self.path, what, self.old.place, self.new.place)

    def _overlap(self, demanding: Choice) -> Iterator[SchemaChange]:
        """Tell if a value that one variant took is now taken by two of a oneOf, which refuses it."""
        choices = ((self.walk.old, self.old), (self.walk.new, self.new))
        if demanding.keyword != "oneOf" or all(
            are_apart(side, [variant.schema for variant in choice.variants]) for side, choice in choices
        ):
            return
        tightens, loosens = (demanding.demand, None) if self._is_request else (None, demanding.demand)
        difference = Difference("condition", ("oneOf",), "the variants of oneOf overlap otherwise", tightens, loosens)
        change = self.walk.weigh(difference, self.old.flat, self.new.flat, self.path)
        has_discriminator = all("discriminator" in choice.flat.schema for _, choice in choices)
        if change.witness is not None or not has_discriminator:
            yield change


def _find_namesake(allowing: Choice, demanding: Choice, index: int, free: list[int]) -> int | None:
    """Return the variant that is meant to be the same one: of the same name, or else at the same place."""
    if not allowing.keyword or not demanding.keyword:
        return None
    name = _label(allowing.variants[index], index)
    named = [other for other in free if _label(demanding.variants[other], other) == name]
    if named:
        return named[0]
    return index if index in free and len(allowing.variants) == len(demanding.variants) else None


def _label(variant: Part, index: int) -> str:
    """Return how people call a variant: the name of its schema, its title, or its number."""
    schemas = [variant.schema, *variant.schema.get("allOf", ())[-1:]]
    names = [referred_name(schema["$ref"]) for schema in schemas if "$ref" in schema]
    titles = [schema["title"] for schema in schemas if "title" in schema]
    return str([*filter(None, names), *titles, f"number {index + 1}"][0])


# Discriminators


def _walk_discriminator(walk: SchemaWalk, old: Flat, new: Flat, path: str) -> Iterator[SchemaChange]:
    mine, theirs = old.schema.get("discriminator", {}), new.schema.get("discriminator", {})
    pointers = (old.place("discriminator"), new.place("discriminator"))
    names = (mine.get("propertyName"), theirs.get("propertyName"))
    if names[0] == names[1]:
        yield from _walk_mapping(walk, old, new, path)
    elif names[0] is None:
        yield walk.tell("discriminator-added", path, f"the discriminator {show(names[1])} is new", pointers)
    elif names[1] is None:
        yield walk.tell("discriminator-removed", path, f"the discriminator {show(names[0])} is gone", pointers)
    else:
        what = f"the discriminator went from {show(names[0])} to {show(names[1])}"
        yield walk.tell(f"{walk.direction}-discriminator-changed", path, what, pointers)


def _walk_mapping(walk: SchemaWalk, old: Flat, new: Flat, path: str) -> Iterator[SchemaChange]:
    """Compare the values that both mappings name; where one has none, the names of schemas stand for it."""
    mine, theirs = (flat.schema.get("discriminator", {}).get("mapping", {}) for flat in (old, new))
    if not mine or not theirs:
        return
    name = old.schema["discriminator"]["propertyName"]
    lost = [value for value in mine if value not in theirs]
    gained = [value for value in theirs if value not in mine]
    pointers = (old.place("discriminator"), new.place("discriminator"))
    for values, effect, breaks in ((lost, "removed", "request"), (gained, "added", "answer")):
        rule = f"{walk.direction}-discriminator-value-{effect}"
        for value in values:
            what = f"the value {show(value)} of {show(name)} is {'gone' if effect == 'removed' else 'new'}"
            if walk.direction == breaks:
                yield walk.tell(rule, path, what, pointers)
            else:
                yield SchemaChange(rule, "non-breaking", path, what, *pointers)
