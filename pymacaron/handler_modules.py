"""The modules in which a service has its handlers, found and completed without running them."""

from __future__ import annotations

import ast
import importlib.util
import io
import tokenize
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from pymacaron.codegen.handlers import WantedHandler, add_stubs, find_missing, list_handlers
from pymacaron.codegen.model_types import ModelTypes
from pymacaron.exceptions import Finding, HandlerError
from pymacaron.spec import Api

T = TypeVar("T")

SERVER = "server.py"
_SETUPS = frozenset({"create_app", "API"})
_NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class Modules:
    """Where a service looks for handlers without a module of their own. unknown: why that cannot be told, if so."""

    names: tuple[str, ...] = ()
    unknown: str = ""


def find_modules(folder: Path, given: Sequence[str] | None = None) -> Modules:
    """Return the modules that *given* names, else the argument ``handlers`` in the service's server.py."""
    if given is not None:
        return Modules(tuple(given))
    file = folder / SERVER
    if not file.is_file():
        return Modules(unknown=f"there is no {SERVER}")
    tree = ast.parse(_read(file).text)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name_of(node.func) in _SETUPS]
    for call in calls:
        for keyword in call.keywords:
            if keyword.arg == "handlers":
                names = _read_names(keyword.value)
                unknown = "" if names else f"{SERVER}:{keyword.value.lineno} computes the argument handlers"
                return Modules(names, unknown)
    return Modules(unknown=f"{SERVER} names no module of handlers")


def _name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _read_names(node: ast.expr) -> tuple[str, ...]:
    """Return the modules that a literal names, () for anything else."""
    if isinstance(node, ast.Name) and node.id == "__name__":
        return (Path(SERVER).stem,)
    items = node.elts if isinstance(node, (ast.List, ast.Tuple)) else [node]
    values = [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return tuple(values) if len(values) == len(items) else ()


@dataclass(slots=True)
class _Source:
    """A module's file as it is. text is None where there is none; encoding as the file says."""

    path: Path
    text: str = ""
    encoding: str = "utf-8"
    exists: bool = False


@dataclass(frozen=True, slots=True)
class PlannedModule:
    """A module as it should be. names: functions that were added. summary: the same as a sentence's start."""

    path: Path
    data: bytes
    names: str
    summary: str


@dataclass(slots=True)
class _Stub:
    handler: WantedHandler
    types: ModelTypes
    models: str


@dataclass(slots=True)
class HandlerModules:
    """Collects the handlers of all documents of one service, then plans the modules that lack some.

    notes: what could not be told, in words.
    """

    folder: Path
    modules: Modules
    notes: list[str] = field(default_factory=list)
    _wanted: dict[str, list[_Stub]] = field(default_factory=dict)

    def add(self, document: Path, api: Api, models_text: str) -> None:
        """Take the handlers that *api* needs."""
        models = self._module_of(document.resolve().with_name(f"{api.name}_models.py"))
        types = ModelTypes(models_text, is_importable=bool(models))
        for handler in list_handlers(api):
            self._wanted.setdefault(handler.module, []).append(_Stub(handler, types, models))

    def plan(self) -> list[PlannedModule]:
        """Return every module that lacks handlers, with a stub for each of them.

        Raises: HandlerError: modules are no Python; all of them are named.
        """
        findings: list[Finding] = []
        planned: list[PlannedModule] = []
        for module, stubs in self._wanted.items():
            names = (module,) if module else self.modules.names
            if not names:
                self.notes.append(
                    f"{len(stubs)} handlers are not looked for: {self.modules.unknown}. "
                    "Name their module, as in --handlers svc.handlers."
                )
                continue
            try:
                planned += self._plan_module(names, stubs)
            except HandlerError as error:
                findings += error.findings
        if findings:
            raise HandlerError(findings)
        return planned

    def _plan_module(self, names: Sequence[str], stubs: Sequence[_Stub]) -> list[PlannedModule]:
        sources = [self._find(name) for name in names]
        if None in sources:
            foreign = ", ".join(name for name, source in zip(names, sources, strict=True) if source is None)
            self.notes.append(f"{len(stubs)} handlers are not looked for: {foreign} is not in {self.folder}.")
            return []
        files = [source for source in sources if source is not None]
        missing = list(stubs)
        for source in files:
            lacking = _attempt(source, partial(find_missing, handlers=[stub.handler for stub in missing]))
            missing = [stub for stub in missing if stub.handler in lacking]
        return self._complete(files[0], missing) if missing else []

    def _complete(self, source: _Source, missing: Sequence[_Stub]) -> list[PlannedModule]:
        stubs = [(stub.handler, stub.types, stub.models) for stub in missing]
        title = "One function for each operation, named by its operationId."
        text = _attempt(source, lambda old: add_stubs(old, stubs, title=title))
        names = _enumerate([stub.handler.names[0] for stub in missing])
        verb = "is" if len(missing) == 1 else "are"
        packages = [] if source.exists else self._plan_packages(source.path)
        return [*packages, PlannedModule(source.path, text.encode(source.encoding), names, f"{names} {verb}")]

    def _plan_packages(self, path: Path) -> list[PlannedModule]:
        """Return the ``__init__.py`` of each folder above a new module that does not exist yet."""
        above = [folder for folder in reversed(path.parents) if folder.is_relative_to(self.folder)]
        new = [folder for folder in above if not folder.exists()]
        return [
            PlannedModule(folder / "__init__.py", b"", f"package {folder.name}", f"package {folder.name} is")
            for folder in new
        ]

    def _find(self, module: str) -> _Source | None:
        """Return the file of *module*, existing or not; None if it is another distribution's."""
        place = self.folder.joinpath(*module.split("."))
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                return _read(path)
        top = module.partition(".")[0]
        is_own = (self.folder / top).is_dir() or (self.folder / f"{top}.py").is_file()
        if not is_own and importlib.util.find_spec(top) is not None:
            return None
        return _Source(place.with_suffix(".py"))

    def _module_of(self, path: Path) -> str:
        """Return the name under which the service imports the file *path*, "" if it has none."""
        if not path.is_relative_to(self.folder):
            return ""
        parts = path.relative_to(self.folder).with_suffix("").parts
        return ".".join(parts) if all(part.isidentifier() and part.isascii() for part in parts) else ""


def _read(path: Path) -> _Source:
    """Raise HandlerError: the file is no text of Python."""
    try:
        data = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        source = _Source(path, data.decode(encoding), encoding, exists=True)
        ast.parse(source.text)
    except (OSError, SyntaxError, ValueError) as error:
        raise _refuse(path, error) from error
    return source


def _attempt(source: _Source, change: Callable[[str], T]) -> T:
    try:
        return change(source.text)
    except (SyntaxError, ValueError) as error:
        raise _refuse(source.path, error) from error


def _refuse(path: Path, error: Exception) -> HandlerError:
    place = f"{path}:{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else str(path)
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    return HandlerError(Finding(place, f"no handlers can be added: {reason}", "Correct it. Nothing was written"))


def _enumerate(names: Sequence[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c`` or ``a, b, c and 4 more``."""
    shown = list(names[:_NAMED_AT_MOST]) if len(names) > _NAMED_AT_MOST + 1 else list(names)
    rest = len(names) - len(shown)
    last = f"{rest} more" if rest else shown.pop()
    return f"{', '.join(shown)} and {last}" if shown else last
