"""Spec-first microservices on Flask: one OpenAPI file gives routes, typed models, checks and errors.

Write ``apis/pets.yaml`` and one function per operation; ``create_app(__name__, handlers="pets.handlers")`` serves them.
"""

from pymacaron.app import API, create_app, letsgo
from pymacaron.client import Client
from pymacaron.config import PymConfig, get_config
from pymacaron.crash import report_error, report_warning
from pymacaron.exceptions import (
    AuthError,
    AuthInvalidTokenError,
    AuthMissingHeaderError,
    AuthTokenExpiredError,
    BadResponseException,
    CallArgumentsError,
    CallConnectionError,
    CallError,
    CallTimeoutError,
    ConfigError,
    HandlerError,
    InvalidParameterError,
    NotImplementedYetError,
    PyMacaronException,
    RemoteError,
    SpecError,
    StartupError,
    TargetError,
    TaskArgumentError,
    TaskBrokerError,
    UnexpectedAnswerError,
    add_error,
    is_error,
)
from pymacaron.monitor import monitor
from pymacaron.pool import apipool, modelpool
from pymacaron.server import find_port as get_port
from pymacaron.server_sent_events import ServerSentEvent
from pymacaron.service import Service, current_service, service_of
from pymacaron.tasks import (
    AsyncTask,
    KeyInUseError,
    QueuedTask,
    RunningTask,
    TaskStatus,
    asynctask,
    current_task,
    find_task,
    run_once,
)

__all__ = [
    "API",
    "AsyncTask",
    "AuthError",
    "AuthInvalidTokenError",
    "AuthMissingHeaderError",
    "AuthTokenExpiredError",
    "BadResponseException",
    "CallArgumentsError",
    "CallConnectionError",
    "CallError",
    "CallTimeoutError",
    "Client",
    "ConfigError",
    "HandlerError",
    "InvalidParameterError",
    "KeyInUseError",
    "NotImplementedYetError",
    "PyMacaronException",
    "PymConfig",
    "QueuedTask",
    "RemoteError",
    "RunningTask",
    "ServerSentEvent",
    "Service",
    "SpecError",
    "StartupError",
    "TargetError",
    "TaskArgumentError",
    "TaskBrokerError",
    "TaskStatus",
    "UnexpectedAnswerError",
    "add_error",
    "apipool",
    "asynctask",
    "create_app",
    "current_service",
    "current_task",
    "find_task",
    "get_config",
    "get_port",
    "is_error",
    "letsgo",
    "modelpool",
    "monitor",
    "report_error",
    "report_warning",
    "run_once",
    "service_of",
]
