"""Watches a release that has live traffic: the gate looks at it several times, a crash or missing metrics end it.

Without a gate it only has to be there and to answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import requests

from pymacaron.deploy.answering import ask_ping
from pymacaron.deploy.gates import Gate, Judgement
from pymacaron.deploy.page_sums import was_restarted
from pymacaron.deploy.target import PlacementError, Target, read_last_lines
from pymacaron.diff.sample import sample_values
from pymacaron.exceptions import Finding, StartupError, TargetError
from pymacaron.json_types import Json, JsonObject
from pymacaron.spec import Api, Operation

LOOKS_A_STEP = 5
"""How often the gate looks during one step, at most: it must know, because whoever looks often errs more often."""

_MOST_PROBES = 200
_PROBE_TIMEOUT_S = 2.0
_MOST_UNANSWERED = 5
_LEAST_POLL_S = 0.5
_MOST_POLL_S = 10.0


@dataclass(frozen=True, slots=True)
class Side:
    """One release that is watched. url: where exactly it answers."""

    version: str
    url: str


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched, and how.

    baseline: None where it has no traffic. known: version that had the traffic before, whose errors are not new. looks:
    of the whole deploy. time_s: how long at least. decision_s: how long at most an undecided gate is asked again.
    must_pass: an undecided gate does not do; False once all traffic is there and only a reason to go back is looked
    for. prometheus: URL of a server that counts the live requests; their pages of metrics do without it. select: labels
    of a release's series there, ``job="shop",version="{version}"``.
    """

    target: Target
    gate: Gate | None
    candidate: Side
    baseline: Side | None
    known: str | None
    apis: tuple[Api, ...]
    report: JsonObject | None
    time_s: float
    decision_s: float
    looks: int
    must_pass: bool = True
    use_base_path: bool = False
    prometheus: str | None = None
    select: str = ""
    tell: Callable[[str], None] = field(default=lambda _: None)

    def run(self) -> Judgement:
        """Return what the gate says in the end.

        Raises: TargetError: the release is gone, was started again, does not answer, or has no metrics for the gate.
        """
        started, since_s = time.monotonic(), time.time()
        if self.gate is None:
            self._wait_until(started + self.time_s, self._see())
            return Judgement("pass", ("no gate was asked",))
        before = self._read_pages()
        known = self._read_optional(self.known) if self.known and self.baseline is None else None
        looks = self._plan_looks()
        page = before[0]
        judgement = Judgement("undecided", ())
        for number, look_s in enumerate(looks, 1):
            page = self._wait_until(started + look_s, page)
            after = self._read_pages(page)
            options = {"known": known, **self._name_server(since_s)}
            judgement = self._judge(self.gate, before, after, options)
            self.tell(f"after {time.monotonic() - started:.0f} s: {judgement.tell()}")
            is_over = look_s >= self.time_s
            if judgement.outcome == "fail" or (is_over and (judgement.outcome == "pass" or not self.must_pass)):
                break
            if is_over and number < len(looks):
                self._send_probes(started + looks[number])
            page = after[0]
        return judgement

    def _plan_looks(self) -> list[float]:
        """Return seconds after the start: a first look early, one when the step's time is over, then ever later."""
        looks = [self.time_s / 3, self.time_s]
        if self.must_pass and self.decision_s > self.time_s:
            pause = (self.decision_s - self.time_s) / 7
            looks += [self.time_s + pause * passed for passed in (1, 3, 7)]
        return looks

    def _wait_until(self, end: float, page: str) -> str:
        """Wait, see meanwhile that the release is there and counts on from *page*, and return its last page."""
        poll_s = min(_MOST_POLL_S, max(_LEAST_POLL_S, self.time_s / 20))
        while (left_s := end - time.monotonic()) > 0:
            time.sleep(min(poll_s, left_s))
            page = self._see(page)
        return page

    def _see(self, before: str = "") -> str:
        """See that the candidate is well, and return its page, "" without a gate. before: the page seen last."""
        version = self.candidate.version
        self.target.check(version)
        if self.gate is None:
            seen = ask_ping(self.candidate.url)
            if seen:
                raise TargetError(Finding(version, f"GET /ping: {seen}", "Read its log"))
            return ""
        page = self.target.metrics(version)
        if was_restarted(before, page):
            raise PlacementError(
                Finding(version, "it was started again while it had traffic", "Read its log"),
                read_last_lines(lambda: self.target.logs(version)),
            )
        return page

    def _read_pages(self, before: str = "") -> tuple[str, str | None]:
        page = self._see(before)
        return page, None if self.baseline is None else self._read_optional(self.baseline.version)

    def _read_optional(self, version: str) -> str | None:
        try:
            return self.target.metrics(version)
        except StartupError as error:
            self.tell(f"the running release has no metrics: {error}")
            return None

    def _name_server(self, since_s: float) -> dict[str, object]:
        """Return what the gate is told of the Prometheus server; nothing if there is none."""
        if self.prometheus is None:
            return {}
        sides = (self.candidate, self.baseline)
        ours, theirs = (side and self.select.replace("{version}", side.version) for side in sides)
        return {"prometheus": {"url": self.prometheus, "select": ours, "baseline": theirs, "since_s": since_s}}

    def _judge(
        self, gate: Gate, before: tuple[str, str | None], after: tuple[str, str | None], options: dict[str, object]
    ) -> Judgement:
        if self.report is None:
            options["apis"] = self.apis
        return gate.judge(
            self.report,
            candidate=(before[0], after[0]),
            baseline=(before[1], after[1]) if self.baseline else None,
            looks=self.looks,
            **options,
        )

    def _send_probes(self, end: float) -> None:
        """Send safe requests to both releases by turns, where live traffic is too little to decide.

        end: when the gate looks again, by the monotonic clock; none is sent later, nor to who does not answer.
        """
        urls = [side.url for side in (self.candidate, self.baseline) if side]
        paths = [path for api in self.apis for path in find_probes(api, use_base_path=self.use_base_path)]
        if not paths:
            return
        self.tell(f"live traffic is too little to decide: sending {_MOST_PROBES} safe requests to each release")
        unanswered = dict.fromkeys(urls, 0)
        seen_s, page = time.monotonic(), self._see()
        with requests.Session() as http:
            for number in range(_MOST_PROBES):
                for url in urls:
                    if time.monotonic() >= end or unanswered[url] >= _MOST_UNANSWERED:
                        return  # what does not answer is seen by its metrics, and where they are not
                    try:
                        http.get(url + paths[number % len(paths)], timeout=_PROBE_TIMEOUT_S, allow_redirects=False)
                    except requests.RequestException:
                        unanswered[url] += 1
                    else:
                        unanswered[url] = 0
                if time.monotonic() - seen_s > _MOST_POLL_S / 2:
                    seen_s, page = time.monotonic(), self._see(page)


def find_probes(api: Api, *, use_base_path: bool = False) -> Iterator[str]:
    """Yield paths with query of GET operations that need no credentials, with values that the document allows."""
    for operation in api.operations:
        is_open = not operation.security or {} in operation.security
        if operation.method.lower() == "get" and is_open:
            path = _fill(operation, api.base_path if use_base_path else "")
            if path is not None:
                yield path


def _fill(operation: Operation, base_path: str) -> str | None:
    path, query = base_path + operation.path, {}
    for parameter in operation.parameters:
        if not parameter.is_required:
            continue
        value = next(iter(sample_values(parameter.schema)), None)
        if value is None or isinstance(value, dict | list) or parameter.location not in {"path", "query"}:
            return None
        if parameter.location == "path":
            path = path.replace(f"{{{parameter.name}}}", quote(_to_text(value), safe=""))
        else:
            query[parameter.name] = _to_text(value)
    return f"{path}?{urlencode(query)}" if query else path


def _to_text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
