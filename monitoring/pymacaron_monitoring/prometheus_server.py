"""Asks a Prometheus server. Source: Prometheus HTTP API, "Instant queries"."""

from __future__ import annotations

import requests

from pymacaron.exceptions import Finding, TargetError

_TIMEOUT_S = 30

Samples = dict[frozenset[tuple[str, str]], float]
"""Name and value of each label of a series -> its value."""


def ask_server(url: str, expr: str, at_s: float | None = None, *, http: requests.Session | None = None) -> Samples:
    """Return the samples of *expr*. at_s: seconds since the epoch, None for now. http: a session that is kept.

    Raises: TargetError: nobody answers there, it is no Prometheus, or it cannot answer this.
    """
    query = {"query": expr} if at_s is None else {"query": expr, "time": f"{at_s:.3f}"}
    post = requests.post if http is None else http.post
    try:
        answer = post(f"{url.rstrip('/')}/api/v1/query", data=query, timeout=_TIMEOUT_S)
        body = answer.json()
        if body["status"] != "success":
            raise TargetError(Finding(url, f"it cannot answer: {body.get('error')}", "Correct what it says"))
        return {frozenset(one["metric"].items()): float(one["value"][1]) for one in body["data"]["result"]}
    except requests.JSONDecodeError as error:
        raise TargetError(Finding(url, "it is no Prometheus", "Correct the URL")) from error
    except (requests.RequestException, KeyError, TypeError, ValueError) as error:
        found = f"it does not answer as a Prometheus does ({type(error).__name__})"
        raise TargetError(Finding(url, found, "Start it, or correct the URL")) from error
