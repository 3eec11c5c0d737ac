"""The last lines that a revision of Cloud Run wrote, from Cloud Logging."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.types import ListLogEntriesRequest
from google.protobuf.json_format import MessageToDict

from pymacaron.deploy.gcp import connect, told_as_ours


def read_logs(project: str, revision: str, *, lines: int, endpoint: str | None) -> list[str]:
    """Return the last *lines* of *revision*, oldest first; not Cloud Run's own lines about each request."""
    chosen = (
        'resource.type="cloud_run_revision"'
        f' AND resource.labels.revision_name="{revision}"'
        ' AND NOT logName:"run.googleapis.com%2Frequests"'
    )
    request = ListLogEntriesRequest(
        resource_names=[f"projects/{project}"], filter=chosen, order_by="timestamp desc", page_size=lines
    )
    with told_as_ours(f"Cloud Logging of {revision}"):
        entries = list(islice(connect(LoggingServiceV2Client, endpoint).list_log_entries(request=request), lines))
    return [_tell(entry) for entry in reversed(entries)]


def _tell(entry: Any) -> str:
    """Return an entry as the line that was written: JSON lines come apart on their way into the log."""
    if entry.text_payload:
        return str(entry.text_payload)
    return json.dumps(MessageToDict(type(entry).pb(entry).json_payload), ensure_ascii=False)
