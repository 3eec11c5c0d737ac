"""Checks that every node of a document is what its place asks for, and where every $ref leads."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.bundle import BadReferenceError, Bundle, Fault
from pymacaron.spec.grammar import LEAVES, ObjectRule
from pymacaron.spec.pointers import follow_pointer, join_pointer, split_pointer
from pymacaron.spec.whole import WholeSchemas

# Source: OpenAPI 3.2, "Components Object".
_NEWEST = "media-type"  # a kind that only OpenAPI 3.2 has a folder for
_URI_MARKS = re.compile(r"[#/:]")
_PART_NAME = re.compile(r"[A-Za-z0-9.\-_]+")


@dataclass(frozen=True, slots=True)
class Reference:
    """A resolved reference: ``holder[key]`` names the *kind* of object that stands at *target*.

    stub: stands for a target that is kept whole.
    """

    holder: JsonObject
    key: str
    pointer: str
    kind: str
    target: str
    stub: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Scheme:
    """A security scheme that a *requirement* names by URI; ``holder["$ref"]`` refers to it."""

    requirement: JsonObject
    uri: str
    holder: JsonObject


@dataclass(slots=True)
class Shape:
    """What the check of a document found: its faults, and for the next step its references and what is kept whole."""

    wholes: WholeSchemas
    faults: list[Fault] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    schemes: list[Scheme] = field(default_factory=list)


def check_shape(bundle: Bundle, rules: Mapping[str, ObjectRule], folders: Mapping[str, tuple[str, ...]]) -> Shape:
    """Check the whole tree; what is of the wrong type is taken out of it, so that later steps need not look again."""
    walk = _Walk(bundle, rules, folders)
    walk.shape.wholes.find_dialect()
    walk.run()
    walk.shape.faults += walk.shape.wholes.faults
    return walk.shape


@dataclass(frozen=True, slots=True)
class _Step:
    """Something to look at: ``holder[key]``, which should be of *shape*."""

    shape: str
    holder: JsonObject | list[Json]
    key: str | int
    pointer: str

    @property
    def node(self) -> Json:
        return self.holder[self.key]  # type: ignore[index]  # key fits holder

    def replace(self, node: Json) -> None:
        """Put *node* in place of what stands there."""
        self.holder[self.key] = node  # type: ignore[index]  # key fits holder

    def remove(self) -> None:
        """Take the node away; in lists something empty takes its place, so that the others keep theirs."""
        if isinstance(self.holder, dict):
            del self.holder[str(self.key)]
        elif isinstance(self.key, int):
            self.holder[self.key] = "" if self.shape in LEAVES else [] if self.shape.startswith("[") else {}


class _Walk:
    """Visits nodes one after the other, without recursion, each once for every kind that it must be."""

    def __init__(self, bundle: Bundle, rules: Mapping[str, ObjectRule], folders: Mapping[str, tuple[str, ...]]) -> None:
        self.shape = Shape(WholeSchemas(bundle))
        self._bundle = bundle
        self._rules = rules
        self._folders = folders
        self._seen: set[tuple[str, str]] = set()
        self._steps: list[_Step] = []
        self._late: list[tuple[str, JsonObject, str]] = []
        self._is_last_try = False
        self._waiting = 0
        self._strangers: dict[tuple[str, str], list[Fault]] = {}

    def run(self) -> None:
        self._steps.append(_Step("document", {"": self._bundle.root}, "", ""))
        self._visit_steps()
        while self._late or self.shape.wholes.late:
            # What a reference names by $id may stand in a file that another reference leads to.
            late, self._late = self._late, []
            waiting = len(late) + len(self.shape.wholes.late)
            self._is_last_try, self._waiting = waiting == self._waiting, waiting
            self.shape.wholes.follow_late(is_last_try=self._is_last_try)
            for kind, node, pointer in late:
                self._visit_reference(kind, node, pointer)
            self._visit_steps()
        self._check_kinds()

    def _visit_steps(self) -> None:
        while self._steps:
            step = self._steps.pop()
            # A node shared by YAML aliases may have been taken away on another way to it.
            if isinstance(step.holder, list) or step.key in step.holder:
                self._visit(step)

    def _visit(self, step: _Step) -> None:
        if step.shape in LEAVES:
            self._visit_leaf(step)
        elif step.shape.startswith("["):
            self._visit_list(step)
        elif step.shape.startswith("{"):
            self._visit_mapping(step)
        elif step.shape != "schema" or not isinstance(step.node, bool):
            self._visit_object(step)

    def _visit_leaf(self, step: _Step) -> None:
        is_right, phrase = LEAVES[step.shape]
        if not is_right(step.node):
            self._refuse(step, phrase)
        elif step.shape == "label" and not isinstance(step.node, str):
            step.replace("" if step.node is None else str(step.node))
        elif step.shape == "count":
            step.replace(int(step.node))

    def _visit_list(self, step: _Step) -> None:
        if not isinstance(step.node, list):
            self._refuse(step, "a list")
            return
        inner = step.shape[1:-1]
        for index in range(len(step.node)):
            self._steps.append(_Step(inner, step.node, index, join_pointer(step.pointer, index)))

    def _visit_mapping(self, step: _Step) -> None:
        if not isinstance(step.node, dict):
            self._refuse(step, "an object")
            return
        self._seen.add(("mapping", step.pointer))
        inner = step.shape[1:-1]
        if inner == "any":
            return
        for key in step.node:
            self._steps.append(_Step(inner, step.node, key, join_pointer(step.pointer, key)))

    def _visit_object(self, step: _Step) -> None:
        kind, node = step.shape, step.node
        if not isinstance(node, dict):
            self._refuse(step, f"{_with_article(kind)} (an object)")
            return
        if (kind, step.pointer) in self._seen:
            return
        self._seen.add((kind, step.pointer))
        if kind == "schema" and self.shape.wholes.is_needed(node):
            self.shape.wholes.keep(step.holder, step.key, step.pointer)
            return
        is_reference = "$ref" in node and kind in self._folders
        if "$ref" in node:
            self._visit_reference(kind, node, step.pointer)
        rule = self._rules[kind]
        if not is_reference:
            self._check_fields(kind, node, step.pointer)
        if kind == "discriminator":
            self._visit_mapped_names(node, step.pointer)
        for key in node:
            inner = rule.fields.get(key, None if key.startswith("x-") or key == "$ref" else rule.other)
            if inner and inner != "any":
                self._steps.append(_Step(inner, node, key, join_pointer(step.pointer, key)))

    def _check_fields(self, kind: str, node: JsonObject, pointer: str) -> None:
        """Tell fields that are missing, and those that the specification does not know, or not in this version."""
        rule = self._rules[kind]
        for key in rule.required:
            if key not in node:
                self._fault(pointer, f"{key} is missing", f"Add {key}")
        if kind == "components":
            self._check_names(node, pointer)
        if kind in ("document", "operation") and isinstance(node.get("security"), list):
            self._visit_requirements(node["security"], join_pointer(pointer, "security"))
        for key in list(node) if rule.is_closed or rule.later else ():
            if key in rule.fields or key.startswith("x-") or key == "$ref":
                continue
            place = join_pointer(pointer, key)
            if key in rule.later:
                since = rule.later[key]
                self._fault(place, f"{key} came with OpenAPI {since}", f"Write openapi: {since}.0, or remove it")
                del node[key]
            elif rule.is_closed:
                close = difflib.get_close_matches(key.lower(), rule.fields, n=1, cutoff=0.8)
                fix = f"Write {close[0]}" if close else f"Remove it, or call it x-{key}"
                fault = Fault(place, f"{key} is no field of {_with_article(kind)}", fix)
                self._strangers.setdefault((kind, pointer), []).append(fault)

    def _visit_requirements(self, requirements: list[Json], pointer: str) -> None:
        """Follow the URIs of security schemes, which OpenAPI 3.2 allows in place of names."""
        if _NEWEST not in self._folders:
            return
        known = follow_pointer(self._bundle.root, "/components/securitySchemes")
        for index, requirement in enumerate(requirements):
            for name in requirement if isinstance(requirement, dict) else ():
                if _URI_MARKS.search(name) and not (isinstance(known, dict) and name in known):
                    scheme = Scheme(requirement, name, {"$ref": name})
                    self.shape.schemes.append(scheme)
                    self._visit_reference("security-scheme", scheme.holder, join_pointer(pointer, index, name))

    def _check_names(self, components: JsonObject, pointer: str) -> None:
        """Tell names of parts that OpenAPI 3 does not allow."""
        for folder, parts in components.items():
            for name in parts if isinstance(parts, dict) and not folder.startswith("x-") else ():
                if not _PART_NAME.fullmatch(name):
                    place = join_pointer(pointer, folder, name)
                    self._fault(place, f"{name!r} is no name for a part", "Write letters, digits, dots, - and _ only")

    def _visit_reference(self, kind: str, node: JsonObject, pointer: str) -> None:
        ref = node["$ref"]
        place = join_pointer(pointer, "$ref")
        if kind not in self._folders:
            self._fault(place, f"no $ref can stand in {_with_article(kind)}", "Write out what it leads to")
            del node["$ref"]
            return
        if not isinstance(ref, str):
            self._fault(place, f"{_describe(ref)} stands where the text of a $ref must stand", "Write text like '#/…'")
            del node["$ref"]
            return
        try:
            target, target_node = self._bundle.resolve(ref, pointer, kind)
            self._check_target(kind, ref, target, target_node)
        except BadReferenceError as error:
            if self._bundle.addresses is not None and not self._is_last_try:
                self._late.append((kind, node, pointer))
                return
            self._fault(place, error.found, self._suggest(kind, ref) or error.fix)
            del node["$ref"]
            return
        self._add_reference(Reference(node, "$ref", place, kind, target), target_node)

    def _add_reference(self, reference: Reference, node: Json) -> None:
        """Remember *reference*, whose target is *node*, and look at that, unless it is kept whole."""
        kind, target = reference.kind, reference.target
        is_whole = self._bundle.split_place(target)[0] in self._bundle.standards
        if kind == "schema" and (is_whole or self.shape.wholes.is_needed(node)):
            reference = replace(reference, stub=self.shape.wholes.make_stub(target))
        elif (kind, target) not in self._seen:
            self._steps.append(_Step(kind, {"": node}, "", target))
        self.shape.references.append(reference)

    def _check_target(self, kind: str, ref: str, target: str, node: Json) -> None:
        """Raise BadReferenceError if what *ref* leads to is visibly no *kind*."""
        if not isinstance(node, dict) and not (kind == "schema" and isinstance(node, bool)):
            raise BadReferenceError(
                # The text itself may be a secret of a file that is no part of the document.
                f"$ref {ref!r} leads to {'a text' if isinstance(node, str) else _describe(node)}"
                f" where {_with_article(kind)} must stand",
                f"Refer to {_with_article(kind)}",
            )
        tokens = split_pointer(target)
        for other, folder in self._folders.items():
            if other != kind and (*folder, *tokens[-1:]) == tuple(tokens):
                raise BadReferenceError(
                    f"$ref {ref!r} leads to {_with_article(other)} where {_with_article(kind)} must stand",
                    f"Refer to {_with_article(kind)}",
                )

    def _check_kinds(self) -> None:
        """Refuse references to parts that are something else where they stand; tell unknown fields of the others."""
        kinds: dict[str, set[str]] = {}
        for kind, pointer in self._seen:
            kinds.setdefault(pointer, set()).add(kind)
        for reference in self.shape.references:
            others = kinds.get(reference.target, set()) - {reference.kind}
            if others and reference.key in reference.holder:
                found = f"this leads to {_with_article(min(others))}"
                fix = f"Refer to {_with_article(reference.kind)}"
                self._fault(reference.pointer, f"{found} where {_with_article(reference.kind)} must stand", fix)
                del reference.holder[reference.key]
                self._strangers.pop((reference.kind, reference.target), None)
        self.shape.faults += [fault for faults in self._strangers.values() for fault in faults]

    def _folder(self, kind: str) -> JsonObject:
        """Return the part of the document where objects of *kind* have their names."""
        folder = follow_pointer(self._bundle.root, join_pointer("", *self._folders[kind]))
        return folder if isinstance(folder, dict) else {}

    def _suggest(self, kind: str, ref: str) -> str | None:
        prefix = "#" + join_pointer("", *self._folders[kind])
        names = [join_pointer(prefix, name) for name in self._folder(kind)]
        close = difflib.get_close_matches(ref, names, n=1, cutoff=0.8)
        return f"Define it, or write '{close[0]}' if you meant that" if close and close[0] != ref else None

    def _visit_mapped_names(self, node: JsonObject, pointer: str) -> None:
        """Values of a discriminator's mapping are references or names of schemas, so is its default."""
        mapping = node.get("mapping")
        holders = (
            [(mapping, value, join_pointer(pointer, "mapping", value)) for value in mapping or ()]
            if isinstance(mapping, dict)
            else []
        )
        if "defaultMapping" in node:
            holders.append((node, "defaultMapping", join_pointer(pointer, "defaultMapping")))
        for holder, value, place in holders:
            name = holder[value]
            if not isinstance(name, str):
                continue
            is_reference = any(mark in name for mark in "#/.") and name not in self._folder("schema")
            ref = name if is_reference else "#" + join_pointer("", *self._folders["schema"], name)
            try:
                target, target_node = self._bundle.resolve(ref, pointer)
                self._check_target("schema", ref, target, target_node)
            except BadReferenceError:
                self._fault(place, f"{name!r} names no schema", "Write the name of a schema or a $ref to it")
                continue
            self._add_reference(Reference(holder, value, place, "schema", target), target_node)

    def _refuse(self, step: _Step, phrase: str) -> None:
        """Report that the node is not what *phrase* says, and take it away."""
        self._fault(step.pointer, f"{_describe(step.node)} stands where {phrase} must stand", f"Write {phrase}")
        step.remove()

    def _fault(self, pointer: str, found: str, fix: str) -> None:
        self.shape.faults.append(Fault(pointer, found, fix))


def _describe(node: Json) -> str:
    if isinstance(node, dict):
        return "an object"
    if isinstance(node, list):
        return "a list"
    if node is None:
        return "nothing (null)"
    if isinstance(node, str):
        return f"the text {node[:40]!r}"
    return f"{str(node).lower() if isinstance(node, bool) else node}"


def _with_article(kind: str) -> str:
    words = kind.replace("-", " ")
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"
