"""Names, kinds and labels of all metrics: what rules and dashboards ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
ReportOutcome = Literal["sent", "failed", "limited", "dropped"]
REPORT_OUTCOMES: tuple[ReportOutcome, ...] = ("sent", "failed", "limited", "dropped")
"""What becomes of an error: a reporter took it, failed to, had too many of its like, or had too many waiting."""

_OPERATION = ("http_request_method", "http_route", "operation_id")
_TASK = ("task", "queue")


@dataclass(frozen=True, slots=True)
class Family:
    """A metric. name: of a counter with its ``_total``. labels: in the order in which series give their values."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    text: str


REQUESTS = Family(
    "http_server_request_duration_seconds",
    "histogram",
    (*_OPERATION, "http_response_status_code"),
    "Duration of requests until their body was closed; its count is the number of requests.",
)
ACTIVE_REQUESTS = Family(
    "http_server_active_requests", "gauge", ("http_request_method",), "Requests that are being handled."
)
LOST_REQUESTS = Family(
    "http_server_requests_lost_total",
    "counter",
    ("http_request_method",),
    "Requests whose worker died while it handled them.",
)
REQUEST_BYTES = Family(
    "http_server_request_body_size_bytes", "histogram", _OPERATION, "Size of request bodies, as sent."
)
RESPONSE_BYTES = Family(
    "http_server_response_body_size_bytes", "histogram", _OPERATION, "Size of response bodies, as sent."
)
VIOLATIONS = Family(
    "contract_violations_total", "counter", ("operation_id", "place"), "What in answers broke the document."
)
SECTIONS = Family(
    "section_duration_seconds", "histogram", ("kind", "method"), "Duration of blocks timed with monitor()."
)
STORE_CALLS = Family(
    "db_client_operation_duration_seconds",
    "histogram",
    ("db_system_name", "db_collection_name", "db_operation_name", "outcome"),
    "Duration of calls of the store of persistent objects; its count is the number of calls by outcome.",
)
ERRORS = Family(
    "errors_reported_total", "counter", ("reporter", "outcome"), "Errors and warnings handed to a reporter."
)
ERROR_KINDS = Family(
    "errors_by_kind_total",
    "counter",
    ("operation_id", "kind"),
    "Unexpected errors by where they were raised; a kind that another release does not have is new.",
)
TASKS = Family(
    "celery_task_duration_seconds",
    "histogram",
    (*_TASK, "state"),
    "Duration of runs of tasks; its count is the number of runs by outcome.",
)
TASK_WAITS = Family(
    "celery_task_wait_seconds", "histogram", _TASK, "Time from when a task was due until a worker started it."
)
QUEUED_TASKS = Family("celery_tasks_queued_total", "counter", _TASK, "Tasks that were put into a queue.")
ACTIVE_TASKS = Family("celery_active_tasks", "gauge", _TASK, "Tasks that are being run.")
LOST_TASKS = Family("celery_tasks_lost_total", "counter", _TASK, "Runs of tasks whose worker died.")
QUEUE_LENGTH = Family("celery_queue_length", "gauge", ("queue",), "Messages that wait in a queue.")
OLDEST_MESSAGE = Family(
    "celery_oldest_message_age_seconds", "gauge", ("queue",), "Age of the oldest message that waits in a queue."
)
BUILD = Family("build_info", "gauge", ("version", "revision", "spec_sha256"), "What runs here; always 1.")
WORKERS = Family("worker_processes", "gauge", (), "Processes that count for this service.")
WORKER_STARTS = Family("worker_starts_total", "counter", (), "Processes that began to count for this service.")
CPU = Family("process_cpu_seconds_total", "counter", ("worker",), "User and system CPU time spent.")
MEMORY = Family("process_resident_memory_bytes", "gauge", ("worker",), "Resident memory.")
VIRTUAL_MEMORY = Family("process_virtual_memory_bytes", "gauge", ("worker",), "Virtual memory.")
OPEN_FILES = Family("process_open_fds", "gauge", ("worker",), "Open file descriptors.")
MOST_FILES = Family("process_max_fds", "gauge", ("worker",), "Most file descriptors that may be open.")
START_TIME = Family("process_start_time_seconds", "gauge", ("worker",), "Start, in seconds since the epoch.")
SERIES = Family("metrics_series", "gauge", (), "Lines on this page.")
SERIES_BUDGET = Family("metrics_series_budget", "gauge", (), "Lines beyond which new label values become _OTHER.")

FAMILIES = (
    REQUESTS,
    ACTIVE_REQUESTS,
    LOST_REQUESTS,
    REQUEST_BYTES,
    RESPONSE_BYTES,
    VIOLATIONS,
    SECTIONS,
    STORE_CALLS,
    ERRORS,
    ERROR_KINDS,
    TASKS,
    TASK_WAITS,
    QUEUED_TASKS,
    ACTIVE_TASKS,
    LOST_TASKS,
    QUEUE_LENGTH,
    OLDEST_MESSAGE,
    BUILD,
    WORKERS,
    WORKER_STARTS,
    CPU,
    MEMORY,
    VIRTUAL_MEMORY,
    OPEN_FILES,
    MOST_FILES,
    START_TIME,
    SERIES,
    SERIES_BUDGET,
)
"""In the order of the page."""
