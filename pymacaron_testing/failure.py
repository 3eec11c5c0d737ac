"""A broken promise of a document, as data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pymacaron.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class Failure:
    """One cause of trouble in one operation.

    check: what was looked at, a short fixed word such as ``status_code``. promise: the sentence of the document that
    is broken. answer: what came back, shortened. place: ``file:line#pointer``. curl: a command that shows it again,
    credentials replaced by ``$TOKEN``. cause: equal for failures that one repair would end. count: requests that
    showed it. before: commands to send first, in their order. request_id: what the answer calls its request.
    traceback: what the service logged of it, where the run started the service.
    """

    operation_id: str | None
    check: str
    promise: str
    answer: str
    place: str
    curl: str
    cause: tuple[str, ...] = field(default=(), compare=False)
    count: int = 1
    before: tuple[str, ...] = ()
    request_id: str = ""
    traceback: str = ""

    def times(self, count: int) -> Failure:
        """Return the same failure, seen *count* times."""
        return replace(self, count=count)

    def to_dict(self) -> JsonObject:
        """Return the form of ``pymacaron-report.json``."""
        return {
            "operation_id": self.operation_id,
            "check": self.check,
            "promise": self.promise,
            "answer": self.answer,
            "place": self.place,
            "curl": self.curl,
            "count": self.count,
            "before": list(self.before),
            "request_id": self.request_id,
            "traceback": self.traceback,
        }

    def __str__(self) -> str:
        """Return the failure as people read it, a line for each part."""
        times = f" (seen {self.count} times)" if self.count > 1 else ""
        lines = [
            f"{self.check}{times}",
            f"  promised  {self.promise}",
            f"  answered  {self.answer}",
            f"  where     {self.place}",
        ]
        lines += [f"  {'first' if not number else '     '}     {line}" for number, line in enumerate(self.before)]
        if self.curl:
            lines.append(f"  again     {self.curl}")
        if self.traceback:
            lines += ["  inside", *(f"    {line}" for line in self.traceback.splitlines())]
        return "\n".join(lines)
