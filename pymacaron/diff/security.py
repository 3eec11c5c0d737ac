"""How two operations differ in the credentials that they ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pymacaron.spec import Api, Operation, SecurityScheme

# What a scheme asks of a client, whatever it is called, and the scopes that are needed.
_Alternative = Mapping[tuple[str, ...], frozenset[str]]


@dataclass(frozen=True, slots=True)
class SecurityChange:
    """rule: key of `rules.RULES`. what: how it changed."""

    rule: str
    what: str


def compare_security(old: tuple[Api, Operation], new: tuple[Api, Operation]) -> Iterator[SecurityChange]:
    """Yield what clients have to do that they had not to do before, and the other way round."""
    mine, theirs = _alternatives(*old), _alternatives(*new)
    if not mine and not theirs:
        return
    if not theirs or not all(theirs):
        if mine and all(mine):
            yield SecurityChange("security-removed", f"no credentials are asked for any more ({_names(*old)} before)")
        return
    if not mine or not all(mine):
        yield SecurityChange("security-added", f"{_names(*new)} is asked for now")
    for names, alternative in zip(old[1].security, mine, strict=True):
        if alternative and not any(_is_met(other, alternative) for other in theirs):
            yield _lost(names, alternative, theirs, new)
    for names, alternative in zip(new[1].security, theirs, strict=True):
        if mine and alternative not in mine and set(names) not in map(set, old[1].security):
            yield SecurityChange("security-alternative-added", f"{' with '.join(names)} is enough now")
    yield from _fewer_scopes(old, mine, theirs)


def _alternatives(api: Api, operation: Operation) -> list[_Alternative]:
    return [
        {_demand(api.security_schemes.get(name), name): frozenset(scopes) for name, scopes in requirement.items()}
        for requirement in operation.security
    ]


def _demand(scheme: SecurityScheme | None, name: str) -> tuple[str, ...]:
    if scheme is None:
        return (name,)
    # A bearer token is sent in the same way, whoever hands it out.
    if scheme.type in ("oauth2", "openIdConnect") or (scheme.type == "http" and scheme.scheme == "bearer"):
        return ("bearer",)
    return (
        scheme.type,
        scheme.scheme,
        scheme.location,
        scheme.key.lower() if scheme.location != "query" else scheme.key,
    )


def _is_met(asked: _Alternative, given: _Alternative) -> bool:
    """Tell whether credentials that are good for *given* are good for *asked*."""
    return all(scheme in given and scopes <= given[scheme] for scheme, scopes in asked.items())


def _lost(
    names: Mapping[str, tuple[str, ...]],
    alternative: _Alternative,
    theirs: list[_Alternative],
    new: tuple[Api, Operation],
) -> SecurityChange:
    label = " with ".join(names)
    for other in theirs:
        if other.keys() <= alternative.keys():
            more = sorted({scope for scheme in other for scope in other[scheme] - alternative[scheme]})
            return SecurityChange("security-scope-added", f"{label} needs the scope {', '.join(more)} now")
    if any(set(names) == set(requirement) for requirement in new[1].security):
        return SecurityChange("security-scheme-changed", f"{label} is sent in another way now")
    return SecurityChange(
        "security-alternative-removed", f"{label} is not enough any more; {_names(*new)} is asked for"
    )


def _fewer_scopes(
    old: tuple[Api, Operation], mine: list[_Alternative], theirs: list[_Alternative]
) -> Iterator[SecurityChange]:
    for names, alternative in zip(old[1].security, mine, strict=True):
        same = [other for other in theirs if other.keys() == alternative.keys() and _is_met(other, alternative)]
        if same and alternative not in same:
            fewer = sorted({scope for scheme in alternative for scope in alternative[scheme] - same[0][scheme]})
            what = f"{' with '.join(names)} needs the scope {', '.join(fewer)} no more"
            yield SecurityChange("security-scope-removed", what)


def _names(_api: Api, operation: Operation) -> str:
    return " or ".join(" with ".join(requirement) for requirement in operation.security if requirement)
