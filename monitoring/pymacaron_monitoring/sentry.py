"""Hands reports to Sentry: events made by sentry-sdk, without secrets, and without its watching of every request."""

from __future__ import annotations

import gzip
import logging
import os
import platform
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import requests

from pymacaron.exceptions import ConfigError, Finding
from pymacaron_monitoring.outbox import Report, TryLaterError

if TYPE_CHECKING:
    from pymacaron.config import PymConfig
    from pymacaron.json_types import Json, JsonObject
    from pymacaron_monitoring.families import ReportOutcome

log = logging.getLogger(__name__)

_TIMEOUT_S = (3.0, 10.0)
_TOO_MANY = 429
_FIRST_SERVER_ERROR = 500
_DEFAULT_PAUSE_S = 60.0
_MOST_PAUSE_S = 3600.0
_MOST_EXCEPTIONS = 50
_MOST_FRAMES = 100  # of one; the most that sentry-sdk sends, too
_MOST_FRAMES_IN_ALL = 400  # each has three objects in it, and a redactor looks at 2,000
# Facts that have a place of their own in an event.
_PLACED = frozenset({"trace", "request", "release", "environment", "error_id", "user_id"})
_TAGS = ("operation_id", "method", "route", "status", "error", "request_id", "trace_id")


class SentryReporter:
    """Makes an event of each report and posts it.

    Source: https://develop.sentry.dev/sdk/data-model/envelopes/ and …/event-payloads/.
    """

    name = "sentry"

    def __init__(self, config: PymConfig, release: str, environment: str) -> None:
        """Read the DSN. Raises: ConfigError: it is none, or sentry-sdk is missing."""
        where = f"{config.config_path or 'configuration'}: sentry_dsn"
        try:
            from sentry_sdk import VERSION  # noqa: PLC0415 - optional
            from sentry_sdk.consts import DEFAULT_OPTIONS  # noqa: PLC0415
            from sentry_sdk.utils import BadDsn, Dsn  # noqa: PLC0415
        except ImportError:
            fix = "pip install 'pymacaron[sentry]'"
            raise ConfigError(Finding(where, "sentry-sdk, which it needs, is not installed", fix)) from None
        assert config.sentry_dsn is not None
        try:
            dsn = Dsn(config.sentry_dsn.get_secret_value())
        except BadDsn as error:
            fix = "Copy it from the project's settings in Sentry: https://KEY@HOST/PROJECT"
            raise ConfigError(Finding(where, f"it is no DSN: {str(error).partition('(')[0].strip()}", fix)) from None
        auth = dsn.to_auth(f"pymacaron/{VERSION}")
        self._url = auth.get_api_url()
        self._headers = {
            "X-Sentry-Auth": auth.to_header(),
            "Content-Type": "application/x-sentry-envelope",
            "Content-Encoding": "gzip",
        }
        self._options = {**DEFAULT_OPTIONS, "include_local_variables": False, "project_root": str(config.folder)}
        self._facts = {
            "release": f"{config.name}@{release}" if config.name else release,
            "environment": environment,
            "server_name": socket.gethostname(),
            "platform": "python",
            "sdk": {"name": "sentry.python.pymacaron", "version": VERSION},
            "contexts": {"runtime": {"name": platform.python_implementation(), "version": platform.python_version()}},
        }
        self._session, self._session_pid = requests.Session(), os.getpid()
        self._silent_until = 0.0

    def send(self, report: Report) -> ReportOutcome:
        """Post *report*. Raises: TryLaterError: Sentry does not answer."""
        if time.monotonic() < self._silent_until:
            return "limited"
        envelope = self._wrap(self.make_event(report))
        try:
            answer = self._open_session().post(self._url, envelope, headers=self._headers, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            raise TryLaterError(type(error).__name__) from None
        if answer.status_code == _TOO_MANY:
            pause_s = _find_pause(answer.headers.get("Retry-After"))
            self._silent_until = time.monotonic() + pause_s
            log.warning("Sentry takes no more for %.0f s; errors until then stand in the log only", pause_s)
            return "limited"
        if answer.status_code >= _FIRST_SERVER_ERROR:
            raise TryLaterError(f"it answered {answer.status_code}")
        if answer.ok:
            return "sent"
        words = "Sentry refuses reports, it answers %d: look at sentry_dsn; error_id %s stands in the log only"
        log.warning(words, answer.status_code, report.event.error_id)
        return "failed"

    def _open_session(self) -> requests.Session:
        """Return the connections of this process: those of one that forked it are not its own to write into."""
        if self._session_pid != os.getpid():
            self._session, self._session_pid = requests.Session(), os.getpid()
        return self._session

    def make_event(self, report: Report) -> JsonObject:
        """Return the event of *report* without secrets. Its id is the error id."""
        event, data = report.event, report.data
        made: JsonObject = {
            **self._facts,
            "event_id": event.error_id,
            "timestamp": datetime.fromtimestamp(report.time_s, UTC).isoformat(),
            "level": "error" if event.fatal else "warning",
            "logger": "pymacaron",
            "tags": {name: str(data[name]) for name in _TAGS if data.get(name) is not None},
            "extra": {name: value for name, value in data.items() if name not in _PLACED},
            "request": _find_request(data),
        }
        if data.get("operation_id"):
            made["transaction"] = data["operation_id"]
            made["transaction_info"] = {"source": "route"}
        if data.get("user_id"):
            made["user"] = {"id": data["user_id"]}
        if report.context.get("traceparent"):
            _, trace_id, span_id, _ = report.context["traceparent"].split("-")
            made["contexts"] = {**made["contexts"], "trace": {"trace_id": trace_id, "span_id": span_id}}
        if event.exception is None:
            made |= {"message": event.title, "extra": {**made["extra"], "trace": data.get("trace")}}
        else:
            made["exception"] = self._describe(event.exception, is_handled=not event.fatal)
            made["extra"]["title"] = event.title
        return cast("JsonObject", event.redact(made))

    def _describe(self, exception: BaseException, *, is_handled: bool) -> Json:
        """Return the exception and what led to it, each with its stack, innermost call last.

        Of what is too long the last is kept: there it happened.
        """
        from sentry_sdk.utils import event_from_exception, handle_in_app  # noqa: PLC0415 - optional

        event, _ = event_from_exception(exception, self._options, {"type": "pymacaron", "handled": is_handled})
        values = handle_in_app(event, project_root=self._options["project_root"])["exception"]["values"]
        values = values[-_MOST_EXCEPTIONS:]
        most = min(_MOST_FRAMES, _MOST_FRAMES_IN_ALL // len(values))
        for one in values:
            stack = one.get("stacktrace")
            if stack:
                stack["frames"] = stack["frames"][-most:]
        return {"values": values}

    def _wrap(self, event: JsonObject) -> bytes:
        from sentry_sdk.envelope import Envelope  # noqa: PLC0415 - optional

        envelope = Envelope({"event_id": event["event_id"], "sent_at": datetime.now(UTC).isoformat()})
        envelope.add_event(event)  # type: ignore[arg-type]  # of the right keys, which nobody can tell
        return gzip.compress(envelope.serialize(), 6)


def _find_request(data: dict[str, object]) -> JsonObject:
    """Return what Sentry shows as the request; its URL is the route, because paths hold values."""
    request = cast("JsonObject", data.get("request") or {})
    found = {
        "method": data.get("method"),
        "url": data.get("route"),
        "headers": request.get("headers"),
        "query_string": request.get("query"),
        "data": request.get("body"),
        "env": {"path_parameters": request["path_parameters"]} if request.get("path_parameters") else None,
    }
    return {name: value for name, value in found.items() if value}


def _find_pause(retry_after: str | None) -> float:
    seconds = float(retry_after) if retry_after and retry_after.isdecimal() else _DEFAULT_PAUSE_S
    return min(seconds, _MOST_PAUSE_S)
