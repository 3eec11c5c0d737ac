"""Objects of a cluster as its API server keeps them: checked by Kubernetes' own schemas, owned field by field."""

from __future__ import annotations

import copy
import itertools
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

SCHEMAS = "1.34"
Object = dict[str, Any]
Key = tuple[str, str, str]
# Lists that are merged by a key of their items, and maps that are replaced as one. Source: the listType and mapType
# marks in Kubernetes' OpenAPI document.
_MERGED = {"containers": ("name",), "env": ("name",), "ports": ("containerPort", "port", "protocol")}
_ATOMIC = {"selector", "matchLabels", "metrics", "binaryData"}


class ApiError(Exception):
    """An answer other than 2xx. reason: as in a Status object."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        """Take status code, reason and message."""
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


class Objects:
    """All objects of a cluster, by (namespace, kind, name); every change gives a new resourceVersion."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.lock = threading.RLock()
        self._objects: dict[Key, Object] = {}
        self._owners: dict[Key, dict[str, set[tuple[str, ...]]]] = {}
        self._versions = itertools.count(1)

    def get(self, key: Key) -> Object:
        """Return a copy. Raises ApiError 404."""
        with self.lock:
            if key not in self._objects:
                raise ApiError(404, "NotFound", f'{key[1].lower()}s "{key[2]}" not found')
            return copy.deepcopy(self._objects[key])

    def list(self, kind: str, namespace: str = "", labels: dict[str, str] | None = None) -> list[Object]:
        """Return copies of what has all *labels*."""
        with self.lock:
            return [
                copy.deepcopy(one)
                for (space, its_kind, _), one in sorted(self._objects.items())
                if its_kind == kind
                and namespace in {"", space}
                and (labels or {}).items() <= one["metadata"].get("labels", {}).items()
            ]

    def create(self, key: Key, given: Object, manager: str, *, is_dry_run: bool = False) -> Object:
        """Add an object. Raises ApiError 409 if it is there, 422 if it is not of its schema."""
        with self.lock:
            if key in self._objects:
                raise ApiError(409, "AlreadyExists", f'{key[1].lower()}s "{key[2]}" already exists')
            return self._put(key, given, {manager: set(_leaves(given))}, is_dry_run=is_dry_run)

    def replace(self, key: Key, given: Object, manager: str) -> Object:
        """Replace an object whose resourceVersion is still the one in *given*. Raises ApiError 404, 409."""
        with self.lock:
            self._check_version(key, given["metadata"].get("resourceVersion"))
            metadata = {**self._objects[key]["metadata"], **given["metadata"]}
            return self._put(key, {**given, "metadata": metadata}, {manager: set(_leaves(given))})

    def apply(self, key: Key, given: Object, manager: str, *, is_forced: bool, is_dry_run: bool) -> Object:
        """Merge *given* into the object as *manager*: server-side apply.

        A field that another manager set to another value is a conflict, 409, unless forced; what this manager applied
        before and does not any more is removed, if nobody else owns it.
        """
        with self.lock:
            if key not in self._objects:
                if given["metadata"].get("resourceVersion"):
                    raise ApiError(409, "Conflict", f"{key[2]}: the object is gone")
                return self._put(key, given, {manager: set(_leaves(given))}, is_dry_run=is_dry_run)
            self._check_version(key, given["metadata"].get("resourceVersion"))
            live = copy.deepcopy(self._objects[key])
            owners = {name: set(fields) for name, fields in self._owners[key].items()}
            applied = set(_leaves(given))
            for field in sorted(applied):
                others = [name for name, fields in owners.items() if name != manager and field in fields]
                if others and _read(live, field) != _read(given, field):
                    if not is_forced:
                        message = f'Apply failed with 1 conflict: conflict with "{others[0]}": .{".".join(field)}'
                        raise ApiError(409, "Conflict", message)
                    for name in others:
                        owners[name].discard(field)
            for field in owners.get(manager, set()) - applied:
                if not any(field in fields for name, fields in owners.items() if name != manager):
                    _remove(live, field)
            _merge(live, given)
            owners[manager] = applied
            return self._put(key, live, owners, is_dry_run=is_dry_run)

    def change(self, key: Key, changes: Object, manager: str) -> Object:
        """Merge *changes*, as a controller or a subresource does: nobody's ownership is asked."""
        with self.lock:
            live = self.get(key)
            _merge(live, changes)
            owners = self._owners[key]
            owners.setdefault(manager, set()).update(_leaves(changes))
            return self._put(key, live, owners)

    def write_status(self, key: Key, status: Object) -> None:
        """Replace the status, if the object is still there and that is news."""
        with self.lock:
            if key in self._objects and self._objects[key].get("status") != status:
                self._objects[key]["status"] = copy.deepcopy(status)
                self._objects[key]["metadata"]["resourceVersion"] = str(next(self._versions))

    def delete(self, key: Key, resource_version: str | None = None) -> Object:
        """Remove an object. Raises ApiError 404, and 409 if it has another version."""
        with self.lock:
            self._check_version(key, resource_version)
            self._owners.pop(key)
            return self._objects.pop(key)

    def _check_version(self, key: Key, version: str | None) -> None:
        live = self.get(key)["metadata"]["resourceVersion"]
        if version is not None and version != live:
            message = f'Operation cannot be fulfilled on "{key[2]}": the object has been modified'
            raise ApiError(409, "Conflict", message)

    def _put(
        self, key: Key, given: Object, owners: dict[str, set[tuple[str, ...]]], *, is_dry_run: bool = False
    ) -> Object:
        before = self._objects.get(key)
        made = copy.deepcopy(given)
        metadata = made["metadata"]
        metadata.setdefault("creationTimestamp", datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"))
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata["namespace"] = key[0]
        if made["kind"] == "Deployment":
            made["spec"].setdefault("replicas", 1)
        if before is None or before.get("spec") != made.get("spec"):
            metadata["generation"] = metadata.get("generation", 0) + 1
        if before is None or _content(before) != _content(made):
            metadata["resourceVersion"] = str(next(self._versions))
        else:
            metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
        if before is not None and key[1] == "Deployment" and before["spec"]["selector"] != made["spec"]["selector"]:
            raise ApiError(422, "Invalid", "spec.selector: Invalid value: field is immutable")
        _check_schema(made)
        if not is_dry_run:
            self._objects[key] = made
            self._owners[key] = owners
        return copy.deepcopy(made)


def _content(made: Object) -> Object:
    metadata = {name: made["metadata"].get(name) for name in ("labels", "annotations")}
    return {**made, "metadata": metadata}


def _check_schema(made: Object) -> None:
    """Raise ApiError 422 for what is not of the kind's schema; unknown fields are faults too."""
    import kubernetes_validate  # noqa: PLC0415 - takes seconds, which whoever collects tests would wait

    try:
        kubernetes_validate.validate(made, SCHEMAS, strict=True)
    except kubernetes_validate.ValidationError as error:
        raise ApiError(422, "Invalid", f"{'.'.join(map(str, error.path))}: {error.message}") from error


def _leaves(given: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every field that can be owned; identity and type are nobody's."""
    if isinstance(given, dict) and given and (not path or path[-1] not in _ATOMIC):
        for name, value in given.items():
            if path or name not in {"apiVersion", "kind", "status"}:
                yield from _leaves(value, (*path, name))
    elif isinstance(given, list) and path and path[-1] in _MERGED:
        for item in given:
            yield from _leaves(item, (*path, _key_of(path[-1], item)))
    elif path not in {("metadata", "name"), ("metadata", "namespace"), ("metadata", "resourceVersion")}:
        yield path


def _key_of(name: str, item: Object) -> str:
    return ",".join(f"{key}={item[key]}" for key in _MERGED[name] if key in item)


def _step(value: Any, parent: str, name: str) -> Any:
    if isinstance(value, list):
        return next((item for item in value if _key_of(parent, item) == name), None)
    return value.get(name) if isinstance(value, dict) else None


def _read(value: Any, path: tuple[str, ...]) -> Any:
    for parent, name in zip(("", *path), path, strict=False):
        value = _step(value, parent, name)
    return value


def _remove(value: Any, path: tuple[str, ...]) -> None:
    holder = _read(value, path[:-1])
    if isinstance(holder, dict):
        holder.pop(path[-1], None)
        if path[-2:-1] and not holder:
            parent = _read(value, path[:-2])
            if isinstance(parent, list):
                parent[:] = [item for item in parent if item]


def _merge(live: Object, given: Object) -> None:
    for name, value in given.items():
        if name in _MERGED and isinstance(value, list):
            old = live.setdefault(name, [])
            for item in value:
                found = next((one for one in old if _key_of(name, one) == _key_of(name, item)), None)
                if found is None:
                    old.append(copy.deepcopy(item))
                else:
                    _merge(found, item)
            # Apply gives the order of what is applied; what others added comes behind.
            order = [_key_of(name, item) for item in value]
            old.sort(key=lambda one: order.index(_key_of(name, one)) if _key_of(name, one) in order else len(order))
        elif isinstance(value, dict) and name not in _ATOMIC and isinstance(live.get(name), dict):
            _merge(live[name], value)
        else:
            live[name] = copy.deepcopy(value)
