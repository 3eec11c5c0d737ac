"""Brings every part that a $ref names to its folder (`components/schemas` …), so that all references look alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.bundle import FILES_KEY, Bundle, Fault
from pymacaron.spec.naming import unique_name
from pymacaron.spec.pointers import MISSING, follow_pointer, join_pointer, pointer_of_fragment, split_pointer
from pymacaron.spec.shape import Reference, Scheme

# Tokens of a pointer that say nothing about what stands there.
_NOISE = {
    *("components", "schemas", "definitions", "responses", "parameters", "requestBodies", "headers", "pathItems"),
    *("properties", "content", "schema", "paths", "examples", "allOf", "anyOf", "oneOf", "$defs"),
}


def gather_parts(
    bundle: Bundle, references: Sequence[Reference], folders: Mapping[str, tuple[str, ...]]
) -> list[Fault]:
    """Rewrite all *references* to ``#/<folder>/<name>``, giving names to targets outside of the folders.

    Returns faults for references that only lead to each other, which are taken out.
    """
    faults = _cut_loops(references)
    moves: dict[str, str] = {}
    names: dict[tuple[str, str], str] = {}
    for reference in references:
        if reference.key not in reference.holder:
            continue
        if follow_pointer(bundle.root, reference.target) is MISSING:
            del reference.holder[reference.key]  # its target was broken and taken out
            continue
        folder = folders[reference.kind]
        tokens = split_pointer(reference.target)
        if tuple(tokens[:-1]) == folder:
            place = reference.target
        else:
            identity = (reference.kind, reference.target)
            if identity not in names:
                node = reference.stub or follow_pointer(bundle.root, reference.target)
                names[identity] = _place_part(bundle, folder, (reference.target, node), moves)
            place = names[identity]
        reference.holder[reference.key] = _write_reference(place)
    _share_path_items(bundle, names)
    bundle.root.pop(FILES_KEY, None)
    bundle.moves.append(moves)
    return faults


def name_schemes(schemes: Sequence[Scheme]) -> None:
    """Put the name of each security scheme, which `gather_parts` gave it, in place of its URI."""
    for scheme in schemes:
        if "$ref" in scheme.holder and scheme.uri in scheme.requirement:
            name = split_pointer(pointer_of_fragment(scheme.holder["$ref"][1:]))[-1]
            scheme.requirement[name] = scheme.requirement.pop(scheme.uri)


def _place_part(bundle: Bundle, folder: tuple[str, ...], part: tuple[str, Json], moves: dict[str, str]) -> str:
    """Put *part*, which has a pointer, into *folder* under a name made of that; return its new pointer."""
    target, node = part
    parent: JsonObject = bundle.root
    for token in folder:
        parent = parent.setdefault(token, {})
    name = unique_name(_describe_part(target), parent)
    parent[name] = node
    pointer = join_pointer("", *folder, name)
    moves[pointer] = target
    return pointer


def _share_path_items(bundle: Bundle, names: Mapping[tuple[str, str], str]) -> None:
    """Make paths whose item others refer to refer to the same part, so that its operations are one, not copies."""
    paths = bundle.root.get("paths", {})
    for (kind, target), place in names.items():
        tokens = split_pointer(target)
        if kind == "path-item" and tokens[:-1] == ["paths"]:
            paths[tokens[1]] = {"$ref": _write_reference(place)}


def _write_reference(place: str) -> str:
    return "#" + quote(place, safe="/~!$&'()*+,;=:@")


def _describe_part(target: str) -> str:
    """Return a name for what stands at *target*: ``Pet.yaml`` -> ``Pet``, ``/…/Pet/properties/tag`` -> ``Pet_tag``."""
    tokens = split_pointer(target)
    if tokens[:1] == [FILES_KEY]:
        stem = re.sub(r"\.\w+$", "", tokens[1].rpartition("/")[2])
        tokens = tokens[2:] or [stem]
    words = [
        re.sub(r"[^A-Za-z0-9]+", "_", token).strip("_") for token in tokens if [token] == tokens or token not in _NOISE
    ]
    return "_".join(filter(None, words)) or "Part"


def _cut_loops(references: Sequence[Reference]) -> list[Fault]:
    """Take out references whose target is nothing but another reference, and so on in a circle."""
    leads_to = {
        (ref.kind, ref.pointer.rpartition("/")[0]): (ref.kind, ref.target) for ref in references if ref.key == "$ref"
    }
    verdicts: dict[tuple[str, str], bool] = {}

    def is_looping(place: tuple[str, str]) -> bool:
        way: dict[tuple[str, str], None] = {}
        while place in leads_to and place not in verdicts and place not in way:
            way[place] = None
            place = leads_to[place]
        verdicts.update(dict.fromkeys(way, place in way or verdicts.get(place, False)))
        return place in way or verdicts.get(place, False)

    faults = []
    for reference in references:
        if is_looping((reference.kind, reference.target)) and reference.key in reference.holder:
            del reference.holder[reference.key]
            faults.append(Fault(reference.pointer, "this $ref leads back to itself", "Let it end at a real part"))
    return faults
