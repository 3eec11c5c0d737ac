"""Objects of a document that load and save themselves, in SQLite, PostgreSQL or DynamoDB, alike.

Derive a class from `Persistent`, name it in the document as ``x-persist: svc.db.PersistentPet``, and the model has
``load_from_db``, ``save_to_db``, ``query`` and the rest. ``database_url`` in pym-config.yaml says where.
"""

from pymacaron.persistence.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidCursorError,
    NotFoundError,
    PersistenceError,
    StoredDataError,
    StoreUnavailableError,
    UnstorableError,
)
from pymacaron.persistence.model import Persistent, retry_conflicts
from pymacaron.persistence.query import Page
from pymacaron.persistence.store import Store, check_store, current_store, open_store, transaction, using_store

__all__ = [
    "AlreadyExistsError",
    "ConflictError",
    "InvalidCursorError",
    "NotFoundError",
    "Page",
    "PersistenceError",
    "Persistent",
    "Store",
    "StoreUnavailableError",
    "StoredDataError",
    "UnstorableError",
    "check_store",
    "current_store",
    "open_store",
    "retry_conflicts",
    "transaction",
    "using_store",
]
