"""Which operations of two documents are the same, and how those that are left differ as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date

from pymacaron.diff.change import Change
from pymacaron.diff.objectives import compare_objectives
from pymacaron.diff.pair import Documents, OperationPair
from pymacaron.diff.security import compare_security
from pymacaron.json_types import Json
from pymacaron.spec import Api, Operation

_NAME = re.compile(r"\{[^{}]*\}")
_Key = tuple[str, str]


def match_operations(documents: Documents) -> tuple[list[OperationPair], list[Operation], list[Operation]]:
    """Return the operations that both have, those only the old one has, and those only the new one has.

    They are matched by method and path, whatever the parameters in it are called: with the path of the server before
    it, or else without.
    """
    old, new = documents.old, documents.new
    left = {_key(operation, new.base_path): operation for operation in new.operations}
    pairs: dict[str, OperationPair] = {}
    for base_paths in ((old.base_path, new.base_path), ("", "")):
        left = {_key(operation, base_paths[1]): operation for operation in left.values()}
        for operation in old.operations:
            found = None if operation.operation_id in pairs else left.pop(_key(operation, base_paths[0]), None)
            if found is not None:
                pairs[operation.operation_id] = OperationPair(documents, operation, found)
    removed = [operation for operation in old.operations if operation.operation_id not in pairs]
    return [pairs[one.operation_id] for one in old.operations if one.operation_id in pairs], removed, [*left.values()]


def _key(operation: Operation, base_path: str) -> _Key:
    return operation.method, _NAME.sub("{}", base_path + operation.path)


def tell_removed(documents: Documents, operation: Operation, today: date) -> Change:
    """Return the change that *operation* is gone; its x-sunset may have announced that."""
    title = f"{operation.method} {operation.path}"
    sunset = _sunset(operation)
    rule, what = "operation-removed", "this operation is gone"
    if operation.is_deprecated and sunset is not None:
        is_over = sunset <= today
        rule = "operation-removed-after-sunset" if is_over else "operation-removed-before-sunset"
        what = f"this operation is gone, its sunset {'was' if is_over else 'is'} {sunset}"
    return documents.tell(rule, what, operation=title, pointers=(operation.pointer, ""))


def tell_added(documents: Documents, operation: Operation) -> Change:
    """Return the change that *operation* is new."""
    title = f"{operation.method} {operation.path}"
    return documents.tell("operation-added", "this operation is new", operation=title, pointers=("", operation.pointer))


def compare_operation(pair: OperationPair) -> Iterator[Change]:
    """Yield how an operation differs apart from what is sent and answered."""
    old, new = pair.old, pair.new
    yield from _compare_ids(pair)
    if new.is_deprecated and not old.is_deprecated:
        sunset = _sunset(new)
        end = f", its sunset is {sunset}" if sunset else ""
        yield pair.tell("operation-deprecated", f"this operation is deprecated now{end}")
    elif old.is_deprecated and not new.is_deprecated:
        yield pair.tell("operation-reactivated", "this operation is no longer deprecated")
    before, after = _sunset(old), _sunset(new)
    if before and after and after < before:
        yield pair.tell("sunset-earlier", f"its sunset went from {before} to {after}")
    for change in compare_security((pair.documents.old, old), (pair.documents.new, new)):
        yield pair.tell(change.rule, change.what)
    for rule, what in compare_objectives(old.extensions.get("x-slo"), new.extensions.get("x-slo")):
        yield pair.tell(rule, what)


def _compare_ids(pair: OperationPair) -> Iterator[Change]:
    """Compare the ids that are written; derived ones say nothing that method and path do not say."""
    before, after = (_written_id(operation) for operation in (pair.old, pair.new))
    if before and after and before != after:
        yield pair.tell("operation-id-changed", f"operationId went from {before} to {after}")
    elif before and not after:
        yield pair.tell("operation-id-changed", f"operationId {before} is gone")
    elif after and not before:
        yield pair.tell("operation-id-added", f"operationId {after} is new")


def _written_id(operation: Operation) -> str:
    is_written = "x-bind-server" in operation.extensions or operation.handler is not None
    return operation.operation_id if is_written else ""


def _sunset(operation: Operation) -> date | None:
    """Return the day that ``x-sunset`` names; None where there is none that can be read."""
    written: Json = operation.extensions.get("x-sunset")
    try:
        return date.fromisoformat(str(written)[:10])
    except ValueError:
        return None


def compare_documents(documents: Documents) -> Iterator[Change]:
    """Yield how the documents differ apart from their operations."""
    old, new = documents.old, documents.new
    urls = _urls(old), _urls(new)
    pointers = ("/servers", "/servers")
    # Where every path moved along with the server's, the addresses are the same.
    if old.base_path != new.base_path and not _same_addresses(old, new):
        what = f"the path of the server went from {old.base_path or '/'} to {new.base_path or '/'}"
        yield documents.tell("base-path-changed", what, pointers=pointers)
    for url in urls[0]:
        if url not in urls[1]:
            yield documents.tell("server-removed", f"the server {url} is gone", pointers=pointers)
    for url in urls[1]:
        if url not in urls[0]:
            yield documents.tell("server-added", f"the server {url} is new", pointers=pointers)
    for rule, what in compare_objectives(old.extensions.get("x-slo"), new.extensions.get("x-slo")):
        yield documents.tell(rule, what, pointers=("/x-slo", "/x-slo"))


def _same_addresses(old: Api, new: Api) -> bool:
    theirs = {_key(operation, new.base_path) for operation in new.operations}
    return any(_key(operation, old.base_path) in theirs for operation in old.operations)


def _urls(api: Api) -> list[str]:
    servers: list[Mapping[str, Json]] = api.document.get("servers", [])
    return [str(server.get("url", "")) for server in servers]
