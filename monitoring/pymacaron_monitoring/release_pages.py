"""What a release shows: its page of metrics, and what Prometheus saw of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pymacaron.exceptions import Finding, TargetError
from pymacaron.published import ask_page
from pymacaron_monitoring.metrics_options import METRICS_PATH
from pymacaron_monitoring.prometheus import METRIC
from pymacaron_monitoring.prometheus_server import ask_server

_LABELS = ("http_request_method", "http_route", "operation_id", "http_response_status_code", "le")
_REFUSALS = {401, 403}
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def fetch_page(target: str, token: str | None = None, path: str = METRICS_PATH) -> str | None:
    """Return the page of metrics of *target*; None if it has none.

    token: the bearer token that it asks for; without it such a page is none. path: where it is. Raises: TargetError:
    nobody answers, or the token is refused.
    """
    answer = ask_page(f"{target.rstrip('/')}{path}", token)
    if token is not None and answer.status_code in _REFUSALS:
        fix = "Name the environment variable that holds the right one with --metrics-token-env"
        raise TargetError(Finding(target, f"its {path} refuses the token", fix))
    return answer.text if answer.ok else None


def ask_counts(url: str, selector: str, window_s: float, at_s: float) -> str:
    """Return a page of metrics with the requests that Prometheus at *url* saw within *window_s* seconds until *at_s*.

    Series that came into being within that time count from zero, and those that were reset from there.

    selector: which series, ``job="shop",version="2"``. at_s: seconds since the epoch. Raises: TargetError: nobody
    answers there, it is no Prometheus, or it has no such series.
    """
    expr = f"{METRIC}_bucket{{{selector}}}"
    before, after = (ask_server(url, expr, moment) for moment in (at_s - window_s, at_s))
    if not after:
        fix = "Correct the selector, or wait until Prometheus has scraped it"
        raise TargetError(Finding(url, f"it has no {expr}", fix))
    counts: dict[tuple[str, ...], float] = {}
    for labels, value in after.items():
        known = dict(labels)
        old = before.get(labels, 0.0)
        key = tuple(known.get(name, "") for name in _LABELS)
        counts[key] = counts.get(key, 0.0) + (value - old if value >= old else value)
    return "".join(_write_lines(counts))


def _write_lines(counts: Mapping[tuple[str, ...], float]) -> Iterator[str]:
    yield f"# TYPE {METRIC} histogram\n"
    for key, value in counts.items():
        pairs = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in zip(_LABELS, key, strict=True))
        yield f"{METRIC}_bucket{{{pairs}}} {value!r}\n"
