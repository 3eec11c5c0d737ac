"""The classes of ``X_models.py``, imported from the committed file, which is written again when it is stale."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import PydanticUserError, create_model
from typing_extensions import TypeAliasType

from pymacaron.codegen.generate import NAMES, generate_models, hash_schemas, write_models
from pymacaron.codegen.parents import PARENT_KEYS
from pymacaron.exceptions import Finding, SpecError
from pymacaron.log import pymlogger
from pymacaron.model import PymacaronBaseModel, PymacaronRootModel

if TYPE_CHECKING:
    from pymacaron.spec import Api

log = pymlogger(__name__)
_HEADER = re.compile(r"# sha256: ([0-9a-f]{64})$", re.MULTILINE)
_HEADER_LINES = 3
_HEADER_OF_2 = "# This is an auto-generated file - DO NOT EDIT!!!"


def load_models(api: Api, path: Path | None, *, may_write: bool) -> dict[str, type]:
    """Return schema name -> class for every schema of *api*.

    Objects are subclasses of PymacaronBaseModel; other schemas get a PymacaronRootModel around their type. path: the
    module's file, imported under the name by which handlers import it; None: nothing is read or written.
    may_write: write the file where it is missing, stale or broken. A file of pymacaron 2 is replaced in any case.
    Raises: SpecError: the file is missing, stale or broken and may not be written, or its parents do not import.
    """
    if path is None:
        return _collect(api, _run_text(api, generate_models(api)), None)
    fault = _find_fault(api, path)
    may_write = may_write or _is_of_2(path)
    if fault and may_write:
        _rewrite(api, path)
    elif fault:
        raise SpecError(Finding(str(path), fault, "Run pymacaron generate"))
    try:
        return _collect(api, _import_file(api, path), path)
    except SpecError:
        if fault or not may_write:
            raise
    _rewrite(api, path)
    return _collect(api, _import_file(api, path), path)


def _find_fault(api: Api, path: Path) -> str:
    """Return why the file cannot be used as it is, ``""`` if it can."""
    try:
        head = path.read_text(encoding="utf-8").splitlines()[:_HEADER_LINES]
    except FileNotFoundError:
        return "the models of the document were never written"
    except (OSError, ValueError) as error:
        return f"it cannot be read: {error}"
    match = _HEADER.search("\n".join(head))
    if match is None:
        return "its first lines do not say which document it was generated from"
    return "" if match[1] == hash_schemas(api) else f"it is older than {api.source}"


def _is_of_2(path: Path) -> bool:
    """Tell whether pymacaron 2 generated the file, which it did at each start of a service."""
    with suppress(OSError, ValueError):
        return path.read_text(encoding="utf-8").startswith(_HEADER_OF_2)
    return False


def _rewrite(api: Api, path: Path) -> None:
    write_models(api, path)
    log.info("Wrote %s", path)
    with suppress(OSError, NotImplementedError):  # Python takes bytecode for fresh whose source has its second and size
        Path(importlib.util.cache_from_source(str(path))).unlink()
    name = _module_name(path)
    if _is_from(sys.modules.get(name), path):
        log.warning("%s was written again after it was imported. Restart the service", path)
        del sys.modules[name]


def _import_file(api: Api, path: Path) -> ModuleType:
    name = _module_name(path)
    loaded = sys.modules.get(name)
    if loaded is not None and _is_from(loaded, path):
        return loaded
    spec = importlib.util.spec_from_file_location(name, path, loader=SourceFileLoader(name, str(path)))
    assert spec is not None  # it has a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _import_error(api, str(path), error) from error
    package, _, stem = name.rpartition(".")
    if package:
        with suppress(ImportError):
            setattr(importlib.import_module(package), stem, module)
    return module


def _import_error(api: Api, where: str, error: Exception) -> SpecError:
    has_parents = any(key in schema for schema in api.schemas.values() for key in PARENT_KEYS)
    fix = "Run pymacaron generate"
    if has_parents and not isinstance(error, SyntaxError):
        fix = "Correct the classes that x-parent and x-persist name, or put them where the service finds them"
    reason = str(error).partition("\n")[0]
    return SpecError(Finding(where, f"it does not import: {type(error).__name__}: {reason}", fix))


def _is_from(module: ModuleType | None, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and Path(file).resolve() == path.resolve()


def _module_name(path: Path) -> str:
    """Return the name by which ``import`` finds *path*, the first entry of sys.path deciding; else a name of ours."""
    path = path.resolve()
    for entry in sys.path:
        folder = Path(entry or ".").resolve()
        if folder in path.parents:
            parts = path.relative_to(folder).with_suffix("").parts
            if all(part.isidentifier() for part in parts):
                return ".".join(parts)
    return f"pymacaron_models_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"


def _run_text(api: Api, text: str) -> ModuleType:
    name = f"pymacaron_models_{hash_schemas(api)[:12]}"
    module = ModuleType(name)
    sys.modules[name] = module
    try:
        exec(compile(text, f"<models of {api.source}>", "exec"), vars(module))  # noqa: S102 - checked by generate_models
    except Exception as error:
        sys.modules.pop(name, None)
        raise _import_error(api, api.source, error) from error
    return module


def _collect(api: Api, module: ModuleType, path: Path | None) -> dict[str, type]:
    names: Mapping[str, str] = getattr(module, NAMES, {})
    models: dict[str, type] = {}
    missing = []
    for schema in api.schemas:
        value = getattr(module, names.get(schema, schema), None)
        try:
            model = _as_class(schema, value, module)
        except PydanticUserError as error:
            raise _import_error(api, str(path or api.source), error) from error
        if model is None:
            missing.append(schema)
            continue
        model.__pymacaron_api__ = api.name  # type: ignore[attr-defined]  # both of our bases have it
        models[schema] = model
    if missing:
        found = f"it has no {', '.join(missing)}"
        raise SpecError(Finding(str(path or api.source), found, "Run pymacaron generate"))
    return models


def _as_class(name: str, value: Any, module: ModuleType) -> type | None:
    """Return the class that stands for what the module calls *name*, None if it is nothing of ours."""
    while isinstance(value, TypeAliasType):
        alias, value = value, value.__value__
        if not isinstance(value, TypeAliasType) and not _is_model(value):
            return _wrap(name, alias, module)
    return value if _is_model(value) else None


def _wrap(name: str, alias: TypeAliasType, module: ModuleType) -> type:
    """Return a root model around what *alias* stands for.

    It is made under a name that no forward reference can have, for pydantic would take one to it.
    """
    root: Any = (alias.__value__, ...)
    wrapper = create_model(
        f"{name} value",
        __base__=PymacaronRootModel,
        __module__=module.__name__,
        __cls_kwargs__={"title": name},
        root=root,
    )
    wrapper.__name__ = wrapper.__qualname__ = name
    return wrapper


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, PymacaronBaseModel)
