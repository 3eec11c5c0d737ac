"""Whether requests that were sent to two releases by turns show that one is slower or fails more often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import ceil, exp, log, sqrt
from statistics import NormalDist, median, stdev

from pymacaron_monitoring.report import Item, Rounds
from pymacaron_monitoring.significance import adjust_p_values, find_p_of_counts, find_p_of_differences
from pymacaron_monitoring.verdict import Reason

GROSS_SLOWNESS = 0.5
"""A comparison that could not have seen an operation become slower by this share decides nothing."""

_POWER_Z = NormalDist().inv_cdf(0.8)
_TAIL = 0.95
_LEAST_ROUNDS = 5
_FAST = 0.1


@dataclass(frozen=True, slots=True)
class _Pair:
    """The rounds of one operation, and what they show.

    medians, fast: differences of the logarithms of the medians and of the lowest deciles, by round. slowest: requests
    of either release that are among the slowest twentieth of both, by round. p_values: of medians, fast, slowest,
    errors.
    """

    label: str
    rounds: Rounds
    medians: tuple[float, ...]
    fast: tuple[float, ...]
    slowest: tuple[tuple[int, int], ...]
    p_values: tuple[float, float, float, float]

    @property
    def sent(self) -> int:
        """Requests that the candidate got."""
        return sum(map(len, self.rounds.candidate)) + self.rounds.candidate_errors

    def find_sight(self, tolerance: float, error_rate: float) -> float:
        """Return the slowness that these rounds would have seen with 80 % certainty; 0.2 for 20 %."""
        return exp(log(1 + tolerance) + self._find_spread(error_rate) / sqrt(len(self.medians))) - 1

    def count_needed(self, tolerance: float, error_rate: float) -> int:
        """Return how many requests of each release would see `GROSS_SLOWNESS`."""
        rounds = (self._find_spread(error_rate) / (log(1 + GROSS_SLOWNESS) - log(1 + tolerance))) ** 2
        return ceil(rounds * self.sent / len(self.medians))

    def _find_spread(self, error_rate: float) -> float:
        """Return the shift that one round would show with 80 % certainty."""
        return (NormalDist().inv_cdf(1 - error_rate) + _POWER_Z) * min(stdev(self.medians), stdev(self.fast))


def judge_rounds(
    items: Sequence[Item], labels: Mapping[str, str], *, tolerance: float, error_rate: float
) -> Iterator[Reason]:
    """Yield what the rounds of *items* show.

    Of each operation four things are tested: whether its median, and its lowest decile, are more than *tolerance* above
    the other release's (mean of the logarithms of the rounds' ratios), whether more of its requests are among the
    slowest twentieth of both, and whether more of them fail. What else a machine does slows requests down, the fastest
    ones the least: the decile sees on a busy machine what the median does not.

    labels: operation id -> ``GET /pets/{id}``. tolerance: 0.1 is 10 %. error_rate: highest probability of blaming a
    release that is just as good, over all operations together.
    """
    pairs: list[_Pair] = []
    for item in items:
        if item.rounds is None:
            continue
        label = labels.get(item.operation_id or "", item.nodeid)
        pair = _compare(label, item.rounds, tolerance)
        if pair is None:
            yield _describe_few(label, item.rounds)
        else:
            pairs.append(pair)
    yield from _judge_pairs(pairs, tolerance, error_rate)


def _judge_pairs(pairs: Sequence[_Pair], tolerance: float, error_rate: float) -> Iterator[Reason]:
    adjusted = adjust_p_values([p for pair in pairs for p in pair.p_values])
    each_rate = error_rate / max(1, len(adjusted))
    good: list[tuple[float, _Pair]] = []
    for number, pair in enumerate(pairs):
        shift, fast, tail, errors = (p <= error_rate for p in adjusted[number * 4 : number * 4 + 4])
        sight = pair.find_sight(tolerance, each_rate)
        if errors:
            yield _blame_errors(pair)
        if shift or fast:
            yield _blame_times(pair, is_median=shift)
        elif tail:
            yield _blame_tail(pair)
        elif sight > GROSS_SLOWNESS or 2.0 ** -len(pair.medians) > each_rate:
            yield _describe_blindness(pair, sight, pair.count_needed(tolerance, each_rate))
        elif not errors:
            good.append((sight, pair))
    if good:
        sent, (sight, pair) = sum(pair.sent for _, pair in good), max(good, key=lambda one: one[0])
        operations = f"{len(good)} operations" if len(good) > 1 else "1 operation"
        text = f"Comparison: {operations}, none more than {tolerance * 100:g} % slower or failing more often than the "
        text += f"running release, by {sent:,} requests to each by turns; {_write_share(sight)} slower would have been "
        text += f"seen ({pair.label})"
        yield Reason("pass", text, numbers={"total": sent, "sight": sight, "p": min(adjusted)})


def _compare(label: str, rounds: Rounds, tolerance: float) -> _Pair | None:
    """Return what *rounds* show; None where too few of them have answers of both."""
    both = [pair for pair in zip(rounds.candidate, rounds.baseline, strict=False) if all(pair)]
    if len(both) < _LEAST_ROUNDS:
        return None
    scaled = [([one / (1 + tolerance) for one in ours], theirs) for ours, theirs in both]
    medians = tuple(log(median(ours) / median(theirs)) for ours, theirs in scaled)
    fast = tuple(log(_find_fast(ours) / _find_fast(theirs)) for ours, theirs in scaled)
    slowest = _count_slowest(scaled)
    tails = [
        slow / len(ours) - other / len(theirs) for (slow, other), (ours, theirs) in zip(slowest, scaled, strict=True)
    ]
    errors = find_p_of_counts(
        rounds.candidate_errors,
        rounds.candidate_errors + sum(map(len, rounds.candidate)),
        other_hits=rounds.baseline_errors,
        other_total=rounds.baseline_errors + sum(map(len, rounds.baseline)),
    )
    p_values = (*map(find_p_of_differences, (medians, fast, tails)), errors)
    return _Pair(label, rounds, medians, fast, tuple(slowest), (p_values[0], p_values[1], p_values[2], errors))


def _find_fast(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * _FAST)]


def _count_slowest(rounds: Sequence[tuple[Sequence[float], Sequence[float]]]) -> list[tuple[int, int]]:
    """Return by round how many of either release are among the slowest twentieth of all, each beside its round."""
    usual = [median(chain(*pair)) for pair in rounds]
    beside = [[[one / usual_s for one in side] for side in pair] for pair, usual_s in zip(rounds, usual, strict=True)]
    everything = sorted(chain.from_iterable(chain(*pair) for pair in beside))
    bound = everything[int(len(everything) * _TAIL)]
    return [(sum(one > bound for one in ours), sum(one > bound for one in theirs)) for ours, theirs in beside]


def _blame_errors(pair: _Pair) -> Reason:
    failed, other = pair.rounds.candidate_errors, pair.rounds.baseline_errors
    total, other_total = (
        count + sum(map(len, rounds))
        for count, rounds in ((failed, pair.rounds.candidate), (other, pair.rounds.baseline))
    )
    text = f"{pair.label}: {failed:,} of {total:,} requests failed, sent by turns; running release {other:,} of "
    text += f"{other_total:,} (p {pair.p_values[3]:.1g})"
    numbers = {"hits": failed, "total": total, "running_hits": other, "running_total": other_total}
    return Reason("fail", text, pair.label, {**numbers, "p": pair.p_values[3]})


def _blame_times(pair: _Pair, *, is_median: bool) -> Reason:
    find, name, p = (
        (median, "median", pair.p_values[0]) if is_median else (_find_fast, "lowest decile", pair.p_values[1])
    )
    ours_s, theirs_s = (find(list(chain.from_iterable(one))) for one in (pair.rounds.candidate, pair.rounds.baseline))
    text = f"{pair.label}: {_write_time(ours_s)} is the {name} of {pair.sent:,} requests, "
    text += f"{_write_share(ours_s / theirs_s - 1)} more than the {_write_time(theirs_s)} of the running release "
    text += f"by turns (p {p:.1g})"
    numbers = {"seconds": ours_s, "running_seconds": theirs_s, "total": pair.sent, "p": p}
    return Reason("fail", text, pair.label, numbers)


def _blame_tail(pair: _Pair) -> Reason:
    hits, other = (sum(side) for side in zip(*pair.slowest, strict=True))
    total, other_total = (sum(map(len, one)) for one in (pair.rounds.candidate, pair.rounds.baseline))
    text = (
        f"{pair.label}: {hits:,} of {total:,} requests are among the slowest twentieth, sent by turns; running release "
    )
    text += f"{other:,} of {other_total:,} (p {pair.p_values[2]:.1g})"
    numbers = {"hits": hits, "total": total, "running_hits": other, "running_total": other_total}
    return Reason("fail", text, pair.label, {**numbers, "p": pair.p_values[2]})


def _describe_blindness(pair: _Pair, sight: float, needed: int) -> Reason:
    text = f"{pair.label}: {pair.sent:,} requests to each release by turns would only have seen it "
    text += (
        f"{_write_share(sight)} slower; about {max(needed, pair.sent + 1):,} would see {_write_share(GROSS_SLOWNESS)}"
    )
    return Reason("undecided", text, pair.label, {"total": pair.sent, "sight": sight, "needed": needed})


def _describe_few(label: str, rounds: Rounds) -> Reason:
    good = min(sum(map(len, rounds.candidate)), sum(map(len, rounds.baseline)))
    if rounds.candidate_errors > rounds.baseline_errors and not any(rounds.candidate):
        text = (
            f"{label}: none of {rounds.candidate_errors:,} requests succeeded, sent by turns; of the running release "
        )
        text += f"all but {rounds.baseline_errors:,}"
        return Reason("fail", text, label, {"hits": rounds.candidate_errors, "running_hits": rounds.baseline_errors})
    text = f"{label}: {good:,} successful requests to each release by turns, in fewer than {_LEAST_ROUNDS} rounds; "
    return Reason("undecided", f"{text}about 300 would decide", label, {"total": good, "needed": 300})


def _write_time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def _write_share(share: float) -> str:
    return f"{share * 100:.0f} %"
