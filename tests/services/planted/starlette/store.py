"""Everything that the service knows, in memory."""

import itertools
import secrets
from datetime import UTC, datetime

from planted import planted

users = {}
projects = {}
tasks = {}
labels = {}
_task_ids = itertools.count(1)


def now():
    moment = datetime.now(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_project_id():
    return "prj_" + secrets.token_hex(6)


def add_project(owner, values):
    moment = now()
    project = {
        "id": new_project_id(),
        "number": max((item["number"] for item in projects.values()), default=0) + 1,
        "owner": owner,
        **values,
        "created_at": moment,
        "updated_at": moment,
    }
    if planted("budget_in_32_bits"):
        project["budget_cents"] = (project["budget_cents"] + 2**31) % 2**32 - 2**31
    projects[project["id"]] = project
    return project


def add_task(project, values, task_id=None):
    task = {
        "id": next(_task_ids) if task_id is None else task_id,
        "project_id": project["id"],
        **values,
        "votes": 0,
        "created_at": now(),
    }
    tasks[task["id"]] = task
    return task


def tasks_of(project):
    return [task for task in tasks.values() if task["project_id"] == project["id"]]


def drop_project(project):
    del projects[project["id"]]
    if planted("tasks_outlive_project"):
        return
    for task in tasks_of(project):
        del tasks[task["id"]]


def add_label(values, creator):
    label = {**values, "creator": creator, "created_at": now()}
    labels[label["slug"]] = label
    return label


def _seed():
    for name in ("alice", "bob"):
        users[name] = {
            "id": f"usr_{name}",
            "display_name": name.title(),
            "timezone": "UTC",
            "newsletter": False,
            "password_hash": "$2b$12$" + secrets.token_urlsafe(40)[:53],
            "created_at": now(),
        }
        for number, title in enumerate(("Website", "Warehouse"), start=1):
            project = add_project(
                name,
                {
                    "name": f"{title} of {name.title()}",
                    "code": f"AB-{number}",
                    "description": None if number == 1 else "All that has to be done.",
                    "status": "active",
                    "budget_cents": 250_000 * number,
                    "hourly_rate": 79.5,
                    "starts_on": "2026-03-01",
                    "tags": ["seed"],
                    "settings": {"visibility": "private", "notify": True},
                },
            )
            for priority, effort in ((2, 90), (5, 1000)):
                add_task(
                    project,
                    {
                        "title": f"Step of {effort} minutes",
                        "notes": None,
                        "priority": priority,
                        "effort_minutes": effort,
                        "done": effort > 100,
                        "due_at": None,
                    },
                )
    add_label({"slug": "urgent", "title": "Urgent", "colour": "#ff0000"}, "usr_alice")
    add_label({"slug": "later", "title": "Later", "colour": "#00aaff"}, "usr_bob")


_seed()
