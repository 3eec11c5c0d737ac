"""The page ``/doc/status`` of a running service: rates, errors, latency, budgets, for who has no dashboards.

It is there if ``status_page: true`` stands in the configuration.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import inf
from pathlib import Path

from flask import Flask, Response, jsonify, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pymacaron.events import ErrorReported
from pymacaron.json_types import JsonObject
from pymacaron.request_events import find_status_path
from pymacaron.service import Service, service_of
from pymacaron.spec import Operation
from pymacaron_monitoring.budget import Balance, balance_page
from pymacaron_monitoring.families import ACTIVE_REQUESTS, REQUESTS
from pymacaron_monitoring.indicators import Indicator, find_indicators
from pymacaron_monitoring.prometheus import Labels, Page
from pymacaron_monitoring.recent_errors import RecentErrors
from pymacaron_monitoring.records import Key
from pymacaron_monitoring.release import find_release, is_served
from pymacaron_monitoring.runbook import describe_operation
from pymacaron_monitoring.scrape import has_token
from pymacaron_monitoring.slo import read_objectives
from pymacaron_monitoring.store import store_of

REFRESH_S = 2
"""Seconds between two looks of the page at the numbers."""

_EXTENSION = "pymacaron_monitoring.status"
_TEMPLATES = Path(__file__).parent / "templates"


def init_app(app: Flask) -> None:
    """Show the page if the configuration of the service in *app* asks for it; a second call changes nothing.

    Raises: SpecError: an ``x-slo`` makes no sense.
    """
    service = service_of(app)
    if _EXTENSION in app.extensions or not service.config.status_page:
        return
    app.extensions[_EXTENSION] = status = _Status(service)
    service.bus.subscribe(ErrorReported, status.errors.add)
    path = find_status_path(service)
    app.add_url_rule(path, "pymacaron_status", status.show_page)
    app.add_url_rule(f"{path}.json", "pymacaron_status_json", status.show_numbers)


class _Status:
    """What the page shows, of all workers together."""

    def __init__(self, service: Service) -> None:
        self.errors = RecentErrors(store_of(service.app).find_file("errors.jsonl"))
        self._service = service
        self._release = find_release(service)
        self._operations = {
            one.operation_id: one for api in service.apis.values() for one in api.operations if is_served(service, one)
        }
        self._indicators: list[Indicator] = []
        for api in service.apis.values():
            self._indicators += find_indicators(api, read_objectives(api))
        environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
        self._template = environment.get_template("status.html")

    def show_page(self) -> Response:
        """Answer with the page; its script and style are in it, and it asks nobody but this service."""
        nonce = secrets.token_urlsafe(16)
        text = self._template.render(name=self._service.config.name, nonce=nonce, refresh_s=REFRESH_S)
        response = Response(text, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
            "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
        )
        return _protect(response)

    def show_numbers(self) -> Response:
        """Answer with the numbers of now, or 401 where ``metrics_token`` guards them."""
        token = self._service.config.metrics_token
        if token is not None and not has_token(request, token.get_secret_value()):
            refusal = Response("These numbers need the bearer token that metrics_token says.\n", 401)
            refusal.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
            refusal.mimetype = "text/plain"
            return _protect(refusal)
        return _protect(jsonify(self.describe()))

    def describe(self) -> JsonObject:
        """Return what the page shows.

        ``{name, version, revision, now, workers, active, operations: [{operation_id, name, summary, requests, failed,
        buckets: [[bound_s or null, requests that took no longer], …]}], objectives: [{slo, name, promise, state,
        requests, bad, allowed_share, budget_left}], errors: […]}``; all counts since the service was started.
        """
        store = store_of(self._service.app)
        totals = store.read()
        page = _read_page(totals)
        return {
            "name": self._service.config.name,
            "version": self._release.version,
            "revision": self._release.revision,
            "now": time.time(),
            "workers": len(store.find_processes()),
            "active": sum(values[0] for key, values in totals.items() if key.metric == ACTIVE_REQUESTS.name),
            "operations": [
                *(_describe_operation(page, one) for one in self._operations.values()),
                _describe_operation(page, None),
            ],
            "objectives": [_describe_balance(one) for one in balance_page(self._indicators, page)],
            "errors": self.errors.read(),
        }


def _read_page(totals: Mapping[Key, Sequence[float]]) -> Page:
    """Return the request histograms of a store as `read_page` would read them."""
    page = {}
    for key, values in totals.items():
        if key.metric == REQUESTS.name:
            method, route, operation_id, status = key.labels
            bounds = (*(key.bounds or ()), inf)
            page[Labels(method, route, operation_id, int(status))] = dict(
                zip(bounds, accumulate(values[:-1]), strict=True)
            )
    return page


def _describe_operation(page: Page, operation: Operation | None) -> JsonObject:
    """Return the counts of one operation; None: of requests outside the documents."""
    wanted = operation.operation_id if operation else ""
    chosen = {labels: histogram for labels, histogram in page.items() if labels.operation_id == wanted}
    failed = sum(histogram[inf] for labels, histogram in chosen.items() if labels.status >= 500)  # noqa: PLR2004 - HTTP
    buckets: dict[float, float] = {}
    for histogram in chosen.values():
        for bound, count in histogram.items():
            buckets[bound] = buckets.get(bound, 0) + count
    return {
        "operation_id": wanted or None,
        "name": describe_operation(operation) if operation else "everything else",
        "summary": operation.summary if operation else "Requests that no document describes.",
        "requests": buckets.get(inf, 0),
        "failed": failed,
        "buckets": [[None if bound == inf else bound, count] for bound, count in sorted(buckets.items())],
    }


def _describe_balance(balance: Balance) -> JsonObject:
    subject = balance.subject
    return {
        "slo": balance.indicator.name,
        "name": describe_operation(subject) if subject else f"{balance.indicator.api}, all operations together",
        "promise": balance.indicator.promise,
        "state": balance.state,
        "requests": balance.requests,
        "bad": balance.bad,
        "allowed_share": balance.indicator.allowed_share,
        "budget_left": balance.budget_left,
    }


def _protect(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
