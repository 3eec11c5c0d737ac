"""Tasks: functions that requests queue and workers run, as their callers; `asynctask` makes them.

Importing this loads neither Celery nor a broker's client: only queueing, and running, do.
"""

from pymacaron.tasks.current import RunningTask, current_task
from pymacaron.tasks.declaration import TASKS, AsyncTask, asynctask, find_tasks, prepare_tasks
from pymacaron.tasks.idempotency import KeyInUseError, run_once
from pymacaron.tasks.queued import QueuedTask
from pymacaron.tasks.status import TaskStatus, find_task

__all__ = [
    "TASKS",
    "AsyncTask",
    "KeyInUseError",
    "QueuedTask",
    "RunningTask",
    "TaskStatus",
    "asynctask",
    "current_task",
    "find_task",
    "find_tasks",
    "prepare_tasks",
    "run_once",
]
