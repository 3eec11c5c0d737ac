"""What a document promises to keep to: ``x-slo`` on the document, its paths and its operations, as objectives.

::

    x-slo: {availability: 99.9, latency: {p95: 200ms, p99: 1.5s}, window: 30d}

What an operation says goes before what its path says, and that before what the document says, key by key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise

from pymacaron.exceptions import Finding, SpecError
from pymacaron.json_types import Json
from pymacaron.spec import Api, Operation, describe_place

_LOWEST_AVAILABILITY = 50
_UNITS_S = {"ms": Decimal("0.001"), "s": Decimal(1)}
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s)")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")
_WINDOW = re.compile(r"(\d{1,3})(d|w)")
_DAYS = {"d": 1, "w": 7}
_SHORTEST_WINDOW_DAYS, _LONGEST_WINDOW_DAYS = 7, 90
_EXAMPLE = "{availability: 99.9, latency: {p95: 200ms}}"

DAY_S = 86400
DEFAULT_WINDOW_S = 30 * DAY_S
"""Seconds over which a budget lasts where ``window`` says nothing."""


@dataclass(frozen=True, slots=True)
class Latency:
    """At most ``100 - percentile`` percent of the requests may take longer than *bound_s* seconds."""

    percentile: Decimal
    bound_s: float

    @property
    def name(self) -> str:
        """The percentile as the document writes it: ``p99.9``."""
        return f"p{self.percentile}"

    @property
    def allowed_share(self) -> float:
        """Share of the requests, 0 to 1, that may be slower."""
        return float((100 - self.percentile) / 100)


@dataclass(frozen=True, slots=True)
class Slo:
    """Objectives.

    availability: percent of requests not answered 5xx, None: not declared. latency: by percentile. window_s: seconds
    over which they are to be kept, None: not declared.
    """

    availability: Decimal | None = None
    latency: tuple[Latency, ...] = ()
    window_s: int | None = None

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is promised."""
        return self.availability is None and not self.latency

    @property
    def period_s(self) -> int:
        """Seconds over which the objectives are to be kept."""
        return self.window_s or DEFAULT_WINDOW_S

    def override(self, own: Slo) -> Slo:
        """Return these objectives with those of *own* in the place of their like."""
        by_percentile = {latency.percentile: latency for latency in (*self.latency, *own.latency)}
        latency = tuple(by_percentile[percentile] for percentile in sorted(by_percentile))
        availability = self.availability if own.availability is None else own.availability
        return Slo(availability, latency, own.window_s or self.window_s)


@dataclass(frozen=True, slots=True)
class Objectives:
    """What one document declares.

    service: of the document itself. operations: operation id -> what holds for it, the document's part included.
    own_availability: ids of operations whose availability is judged apart, because they, or their paths, declare one or
    a window of their own; that of all others is judged together.
    """

    service: Slo
    operations: Mapping[str, Slo]
    own_availability: frozenset[str]

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is declared anywhere."""
        return all(slo.is_empty for slo in (self.service, *self.operations.values()))

    @property
    def bounds_s(self) -> frozenset[float]:
        """Every latency bound, in seconds."""
        return frozenset(latency.bound_s for slo in self.operations.values() for latency in slo.latency)


def read_objectives(api: Api) -> Objectives:
    """Return the objectives that *api* declares. Raises SpecError with everything in them that makes no sense."""
    reader = _Reader(api)
    service = reader.read_slo(api.extensions.get("x-slo", {}), "/x-slo")
    reader.check_order(service, "/x-slo")
    operations = {}
    own_availability = set()
    for operation in api.operations:
        pointer = f"{operation.pointer}/x-slo"
        declared = reader.read_slo(operation.extensions.get("x-slo", {}), pointer)
        of_path = reader.read_path(operation, service)
        own = of_path.override(declared)
        operations[operation.operation_id] = slo = service.override(own)
        if slo.availability is not None and (own.availability is not None or own.window_s is not None):
            own_availability.add(operation.operation_id)
        if declared.latency:
            reader.check_order(slo, pointer)
    if reader.findings:
        raise SpecError(reader.findings)
    return Objectives(service, operations, frozenset(own_availability))


def parse_duration(text: Json) -> float:
    """Return the seconds in ``200ms`` or ``1.5s``. Raises ValueError for anything else, numbers without unit too."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None or not Decimal(match[1]):
        raise ValueError(f"{text!r} is no duration")
    return float(Decimal(match[1]) * _UNITS_S[match[2]])


def parse_window(text: Json) -> int:
    """Return the seconds in ``30d`` or ``4w``. Raises ValueError for anything else, and outside 7 to 90 days."""
    match = _WINDOW.fullmatch(text) if isinstance(text, str) else None
    days = int(match[1]) * _DAYS[match[2]] if match else 0
    if not _SHORTEST_WINDOW_DAYS <= days <= _LONGEST_WINDOW_DAYS:
        raise ValueError(f"{text!r} is no window")
    return days * DAY_S


class _Reader:
    """Reads the parts of one document and gathers what is wrong with them."""

    def __init__(self, api: Api) -> None:
        self.findings: list[Finding] = []
        self._api = api
        self._paths: dict[str, Slo] = {}

    def read_path(self, operation: Operation, service: Slo) -> Slo:
        """Return what the path of *operation* declares; what is wrong in it, or next to *service*, is found once."""
        if operation.path not in self._paths:
            item = self._api.document.get("paths", {}).get(operation.path, {})
            pointer = f"{operation.pointer.rpartition('/')[0].removesuffix('/additionalOperations')}/x-slo"
            slo = self._paths[operation.path] = self.read_slo(item.get("x-slo", {}), pointer)
            if slo.latency:
                self.check_order(service.override(slo), pointer)
        return self._paths[operation.path]

    def read_slo(self, declared: Json, pointer: str) -> Slo:
        slo = Slo()
        if not isinstance(declared, dict):
            self._add(pointer, f"{declared!r} is no objective", f"Write {_EXAMPLE}")
            return slo
        for key, value in declared.items():
            if key == "availability":
                slo = replace(slo, availability=self._read_availability(value, f"{pointer}/availability"))
            elif key == "latency":
                slo = replace(slo, latency=self._read_latency(value, f"{pointer}/latency"))
            elif key == "window":
                slo = replace(slo, window_s=self._read_window(value, f"{pointer}/window"))
            else:
                self._add(f"{pointer}/{key}", f"{key!r} is no objective", "Use availability, latency and window only")
        return slo

    def check_order(self, slo: Slo, pointer: str) -> None:
        """Find each percentile that is declared faster than a lower one: that cannot be meant."""
        for lower, higher in pairwise(slo.latency):
            if higher.bound_s < lower.bound_s:
                found = f"{higher.name} is {higher.bound_s:g}s, faster than {lower.name}, {lower.bound_s:g}s"
                self._add(f"{pointer}/latency", found, "Declare bounds that grow with the percentile")

    def _read_availability(self, value: Json, pointer: str) -> Decimal | None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and _LOWEST_AVAILABILITY <= value < 100:  # noqa: PLR2004 - percent
            return Decimal(str(value))
        fix = f"Write percent, at least {_LOWEST_AVAILABILITY} and below 100, such as 99.9"
        self._add(pointer, f"{value!r} is no availability", fix)
        return None

    def _read_window(self, value: Json, pointer: str) -> int | None:
        try:
            return parse_window(value)
        except ValueError as error:
            fix = f"Write {_SHORTEST_WINDOW_DAYS}d to {_LONGEST_WINDOW_DAYS}d, such as 30d or 4w"
            self._add(pointer, str(error), fix)
            return None

    def _read_latency(self, declared: Json, pointer: str) -> tuple[Latency, ...]:
        if not isinstance(declared, dict):
            self._add(pointer, f"{declared!r} has no percentiles", "Write {p95: 200ms}")
            return ()
        found: list[Latency] = []
        for name, text in declared.items():
            match = _PERCENTILE.fullmatch(str(name))
            if match is None or not Decimal(match[1]):
                self._add(f"{pointer}/{name}", f"{name!r} is no percentile", "Write p95, p99 or p99.9")
                continue
            if any(latency.percentile == Decimal(match[1]) for latency in found):
                self._add(f"{pointer}/{name}", f"{name!r} is declared twice", "Keep one of them")
                continue
            try:
                found.append(Latency(Decimal(match[1]), parse_duration(text)))
            except ValueError as error:
                self._add(f"{pointer}/{name}", str(error), "Write it with its unit, ms or s: 200ms, 1.5s")
        return tuple(sorted(found, key=lambda latency: latency.percentile))

    def _add(self, pointer: str, found: str, fix: str) -> None:
        self.findings.append(Finding(describe_place(self._api.source, self._api.text, pointer), found, fix))
