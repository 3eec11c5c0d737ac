"""What the service knows, in memory."""

import itertools
import threading
import time
from datetime import UTC, datetime

from planted import planted

LOCK = threading.RLock()
PROJECTS = {}  # by id
EXPENSES = {}  # by id
TAGS = {}  # by id
ARCHIVED_EXPENSES = []  # expenses that were deleted
REQUESTS = {}  # answers by user, project and idempotency key

_project_ids = itertools.count(1001)
_tag_ids = itertools.count(1)


def now():
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def next_project_id():
    if planted("project_ids_race"):
        highest = max(PROJECTS, default=1000)
        time.sleep(0.004)  # what a query of the highest id takes
        return highest + 1
    if planted("project_ids_reused"):
        return 1001 + len(PROJECTS)
    return next(_project_ids)


def next_tag_id():
    return next(_tag_ids)


def projects_of(user):
    with LOCK:
        return [project for project in list(PROJECTS.values()) if project["owner"] == user]


def expenses_of(project_id):
    with LOCK:
        return [expense for expense in list(EXPENSES.values()) if expense["project_id"] == project_id]


def delete_project(project_id):
    with LOCK:
        PROJECTS.pop(project_id, None)
        for expense in expenses_of(project_id):
            EXPENSES.pop(expense["id"], None)
