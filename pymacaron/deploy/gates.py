"""The gate that decides whether a release goes on: whatever is installed under the entry point ``pymacaron.gates``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Protocol

from pymacaron.exceptions import ConfigError, Finding
from pymacaron.json_types import JsonObject


class _Reason(Protocol):
    @property
    def level(self) -> str: ...
    @property
    def text(self) -> str: ...


class _Verdict(Protocol):
    @property
    def outcome(self) -> str: ...
    @property
    def reasons(self) -> Sequence[_Reason]: ...
    def to_json(self) -> JsonObject: ...


_Judge = Callable[..., _Verdict]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gates say together.

    outcome: ``pass``, ``fail`` or ``undecided``. reasons: of that level, each a sentence with its numbers.
    is_just_short: undecided for nothing but too few requests.
    """

    outcome: str
    reasons: tuple[str, ...]
    is_just_short: bool = False

    def tell(self) -> str:
        """Return it as one sentence."""
        more = f" (and {len(self.reasons) - 1} more)" if len(self.reasons) > 1 else ""
        return f"{self.outcome}: {self.reasons[0] if self.reasons else 'nothing was judged'}{more}"


class Gate:
    """All gates that are installed; a release passes if it passes every one of them."""

    def __init__(self, judges: Sequence[_Judge]) -> None:
        """Take the functions, each with the signature of ``pymacaron_monitoring.gate.judge``."""
        self._judges = judges

    def judge(self, report: JsonObject | None, **options: Any) -> Judgement:
        """Return what they say; options as each of them takes them."""
        verdicts = [judge(report, **options) for judge in self._judges]
        outcomes = {verdict.outcome for verdict in verdicts}
        outcome = next((one for one in ("fail", "undecided") if one in outcomes), "pass")
        data = [reason for verdict in verdicts for reason in verdict.to_json()["reasons"]]
        told = [reason for reason in data if reason["level"] == outcome]
        is_short = bool(told) and outcome == "undecided" and all(one["numbers"].get("needed") for one in told)
        return Judgement(outcome, tuple(str(one["text"]) for one in told), is_short)


def find_gate() -> Gate:
    """Return the gates that are installed. Raises: ConfigError: there are none."""
    judges: list[_Judge] = [entry.load() for entry in entry_points(group="pymacaron.gates")]
    if not judges:
        fix = "Install pymacaron with its monitoring, or pass --no-gate to deploy what nobody judged"
        raise ConfigError(Finding("pymacaron.gates", "no gate is installed", fix))
    return Gate(judges)
