"""What a store must do, which one is in force, and the events about its calls."""

from __future__ import annotations

import inspect
import os
import re
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from types import TracebackType
from typing import Any, Literal, ParamSpec, Protocol, TypeVar, cast

from flask import current_app, has_app_context

from pymacaron.config import PymConfig, get_config
from pymacaron.events import StoreCalled, StoreOutcome
from pymacaron.exceptions import ConfigError, Finding, PyMacaronException
from pymacaron.persistence.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    StoreUnavailableError,
)
from pymacaron.persistence.layout import Layout
from pymacaron.persistence.query import Query
from pymacaron.persistence.rows import Key, Row
from pymacaron.service import Service

DEFAULT_TIMEOUT_S = 5.0
P = ParamSpec("P")
T = TypeVar("T")
_EXTENSION = "pymacaron.persistence"
_OUTCOMES: dict[type, StoreOutcome] = {
    NotFoundError: "not found",
    AlreadyExistsError: "already exists",
    ConflictError: "conflict",
    StoreUnavailableError: "unavailable",
}


@dataclass(frozen=True, slots=True)
class Write:
    """One change of one object.

    kind: ``insert`` (nothing may be there), ``upsert`` (whatever is there), ``update`` (the version *expected* must be
    there), ``delete`` (*expected*, or any version if it is None). row: what to store, None for ``delete``. expected: 0
    stands for an object that was stored without a version. first_version: of an object that is new.
    """

    kind: Literal["insert", "upsert", "update", "delete"]
    key: Key
    row: Row | None = None
    expected: int | None = None
    first_version: int = 1


class Store(Protocol):
    """Keeps rows by key. Every method raises StoreUnavailableError instead of waiting longer than the timeout."""

    kind: str
    """Name of the product: ``sqlite``, ``postgresql``, ``dynamodb``."""

    def read(self, layout: Layout, keys: Sequence[Key]) -> dict[Key, Row]:
        """Return the rows under *keys* that there are, each with its version."""

    def write(self, layout: Layout, change: Write) -> int:
        """Make *change* and return the new version. Raises NotFoundError, AlreadyExistsError, ConflictError."""

    def find(self, query: Query) -> list[Row]:
        """Return the rows that *query* asks for, ``limit + 1`` at most: one more than is shown tells of a next page."""

    def transaction(self) -> AbstractContextManager[None]:
        """Make the writes of a block as a whole at its end, or not at all if it raises. ConflictError: others won.

        One inside another is undone by itself if it raises, else stored with the outer one.
        """

    def remove_expired(self, layout: Layout) -> int:
        """Remove the objects whose time is over, and return how many."""

    def check(self) -> None:
        """Return if the store answers."""

    def close(self) -> None:
        """Let go of all connections."""


_chosen: ContextVar[Store | None] = ContextVar("pymacaron_store", default=None)
_lock = threading.Lock()
_process_stores: dict[str, Store] = {}


def _renew_lock() -> None:
    """Let a child process have a lock that no thread of its parent holds."""
    global _lock  # noqa: PLW0603 - the fork's
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def current_store() -> Store:
    """Return the store in force: that of `using_store`, else the one that the configuration's ``database_url`` names.

    It is opened at first use, once for each app. Raises: ConfigError: the URL names none, or its extra is missing.
    """
    return _chosen.get() or configured_store()


def configured_store() -> Store:
    """Return the store that the configuration names, whichever `using_store` chose. Raises as `current_store` does."""
    if has_app_context():
        extensions = current_app.extensions
        store = extensions.get(_EXTENSION)
        if store is None:
            with _lock:
                store = extensions.get(_EXTENSION)
                if store is None:
                    store = extensions[_EXTENSION] = open_configured(get_config())
                    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - public
                    weakref.finalize(app, store.close)
        return cast("Store", store)
    config = get_config()
    url = f"{config.folder}:{config.database_url}:{_url_of(config)}"
    with _lock:
        if url not in _process_stores:
            _process_stores[url] = open_configured(config)
        return _process_stores[url]


@contextmanager
def using_store(store: Store) -> Iterator[Store]:
    """Make *store* the one in force for the block, in this thread: for tests, scripts, and a second store."""
    token = _chosen.set(store)
    try:
        yield store
    finally:
        _chosen.reset(token)


def open_configured(config: PymConfig) -> Store:
    """Open the store that *config* names: a SQLite file in the service's folder by default."""
    return open_store(
        _url_of(config),
        folder=config.folder,
        timeout_s=config.database_timeout,
        pool_size=config.database_pool_size,
        credentials=_credentials_of(config),
    )


def open_store(
    url: str,
    *,
    folder: Any = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    pool_size: int = 10,
    credentials: tuple[str, str] | None = None,
) -> Store:
    """Open a store.

    url: ``sqlite:///pets.db`` (relative to *folder*), ``sqlite://`` (in memory),
    ``postgresql://user:password@host/name``, or
    ``dynamodb://REGION?endpoint_url=URL&table_prefix=TEXT&create_tables=true``. timeout_s: no call takes longer.
    pool_size: connections of one process at most. credentials: AWS access key and secret.
    Raises: ConfigError: no store has such a URL, or the extra that it needs is not installed.
    """
    scheme = url.partition(":")[0].partition("+")[0]
    try:
        if scheme == "dynamodb":
            from pymacaron.persistence.dynamodb import DynamoStore  # noqa: PLC0415 - needs the extra

            return DynamoStore(url, timeout_s=timeout_s, pool_size=pool_size, credentials=credentials)
        if scheme in ("sqlite", "postgresql", "postgres"):
            from pymacaron.persistence.sql import SqlStore  # noqa: PLC0415 - needs the extra

            return SqlStore(url, folder=folder, timeout_s=timeout_s, pool_size=pool_size)
    except ModuleNotFoundError as error:
        extra = "dynamodb" if scheme == "dynamodb" else "sql"
        found = f"{scheme} needs {error.name}, which is not installed"
        raise ConfigError(Finding("database_url", found, f"Run: pip install 'pymacaron[{extra}]'")) from error
    shown = repr(scheme) if re.match("[a-z0-9+]+://", url) else "it"  # which may be a password
    found = f"there is no store for {shown if url else 'an empty URL'}"
    raise ConfigError(Finding("database_url", found, "Begin it with sqlite, postgresql or dynamodb"))


def _url_of(config: PymConfig) -> str:
    if config.database_url:
        return config.database_url.get_secret_value()
    return f"sqlite:///{config.name or 'pymacaron'}.db"


def _credentials_of(config: PymConfig) -> tuple[str, str] | None:
    key, secret = config.aws_access_key_id, config.aws_secret_access_key
    return (key.get_secret_value(), secret.get_secret_value()) if key and secret else None


def check_store() -> None:
    """Return if the store answers: ``create_app(__name__, ping_hook=check_store)`` makes /ping tell of it.

    Raises: StoreUnavailableError: it does not; /ping answers 503.
    """
    current_store().check()


class transaction(AbstractContextManager[None]):  # noqa: N801 - used as a function
    """Make all writes of the block together at its end, or none of them if it raises.

    A block inside another one is undone by itself if it raises, and stored with the outer one. Before a function, also
    an ``async def``, each call is a block.
    Raises: ConflictError: others changed the same objects meanwhile; nothing was written.
    """

    def __enter__(self) -> None:
        """Begin the block."""
        self._block = _open_block()
        self._block.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Store what the block wrote, or undo it."""
        return self._block.__exit__(kind, error, traceback)

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Make each call of *function* a block. Raises: ConfigError: it is a generator, whose calls end at once."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            where = f"{function.__module__}.{function.__qualname__}"
            fix = "Write `with transaction():` inside of it"
            raise ConfigError(Finding(where, "@transaction() stands before a generator", fix))
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def run_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                with transaction():
                    return await cast("Awaitable[Any]", function(*args, **kwargs))

            return cast("Callable[P, T]", run_async)

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            with transaction():
                return function(*args, **kwargs)

        return run


@contextmanager
def _open_block() -> Iterator[None]:
    store = current_store()
    with timed_call(store, "", "transaction"), store.transaction():
        yield


class Nesting:
    """Finds out whether the blocks of a transaction lie inside each other, as those of one thread of control do."""

    __slots__ = ("_depth", "_is_broken")

    def __init__(self) -> None:
        """Begin outside of all inner blocks."""
        self._depth = 0
        self._is_broken = False

    @contextmanager
    def level(self) -> Iterator[None]:
        """Go one deeper for the block."""
        self._depth += 1
        depth = self._depth
        try:
            yield
        finally:
            self._is_broken |= self._depth != depth
            self._depth -= 1

    def find_fault(self) -> Exception | None:
        """Return why the transaction cannot be stored: one block ended before another that had begun in it."""
        if not self._is_broken:
            return None
        return RuntimeError("Blocks of one transaction ran at once. Let one end before the next begins")


class timed_call:  # noqa: N801 - used as a function
    """Tell the service's bus how a call of the store went, if anybody listens."""

    __slots__ = ("_call", "_started_s", "_store", "_table")

    def __init__(self, store: Store, table: str, call: str) -> None:
        """Take what the event says of the call."""
        self._store, self._table, self._call = store, table, call

    def __enter__(self) -> None:
        """Start the clock."""
        self._started_s = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Emit the event."""
        service = current_app.extensions.get("pymacaron") if has_app_context() else None
        if isinstance(service, Service) and service.bus.is_heard(StoreCalled):
            duration_s = time.perf_counter() - self._started_s
            outcome: StoreOutcome = "ok"
            if error is not None:
                is_answer = isinstance(error, PyMacaronException)
                outcome = _OUTCOMES.get(type(error), "refused" if is_answer else "error")
            service.bus.emit(StoreCalled(self._store.kind, self._table, self._call, duration_s, outcome))
