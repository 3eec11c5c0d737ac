"""Finds the function behind each operation and compares its signature with the operation, before any request."""

from __future__ import annotations

import difflib
import importlib
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from pymacaron.exceptions import Finding
from pymacaron.spec.naming import snake_case

if TYPE_CHECKING:
    from types import ModuleType

    from pymacaron.spec import Api, Operation

Handler = Callable[..., object]


@dataclass(frozen=True, slots=True)
class BoundHandler:
    """A function that fits its operation.

    keywords: keyword of the document -> name in the function's signature. optional: those keywords that the function
    has a default for: they are left out when the request leaves them out. takes_body: its first argument is the body.
    """

    call: Handler
    keywords: Mapping[str, str]
    optional: frozenset[str]
    takes_body: bool


class HandlerFinder:
    """Binds the operations of one api; *findings* grows with every one that does not fit.

    modules: names of the modules in which handlers without a module of their own are looked up.
    """

    def __init__(self, api: Api, modules: tuple[str, ...], body_models: Mapping[str, type]) -> None:
        """Take *body_models*, operation id -> class of the request body."""
        self.findings: list[Finding] = []
        self._api = api
        self._modules = modules
        self._body_models = body_models

    def bind(self, operation: Operation) -> BoundHandler | None:
        """Return the handler of *operation*, or None after noting why there is none."""
        function = self._find(operation)
        if function is None:
            return None
        bound = self._check_signature(operation, function)
        decorators = operation.extensions.get("x-decorate-server") or []
        call = function
        for dotted in [decorators] if isinstance(decorators, str) else decorators:
            decorate = self._import(operation, str(dotted), "x-decorate-server")
            if decorate is None:
                return None
            call = decorate(call)  # type: ignore[assignment]  # a decorator returns a handler
        return BoundHandler(call, bound.keywords, bound.optional, bound.takes_body) if bound else None

    def _where(self, operation: Operation) -> str:
        return f"{self._api.place_of(operation.pointer)} ({operation.method} {operation.path})"

    def _note(self, operation: Operation, found: str, fix: str) -> None:
        self.findings.append(Finding(self._where(operation), found, fix))

    def _find(self, operation: Operation) -> Handler | None:
        named = operation.handler or operation.operation_id
        if "." in named:
            return self._import(operation, named, "x-bind-server or operationId")
        name = snake_case(named)
        if not self._modules:
            self._note(
                operation,
                f"no module is named in which to look for its handler {name}",
                'Name it, as in create_app(__name__, handlers="svc.handlers"), or write x-bind-server: svc.handlers.'
                + name,
            )
            return None
        modules = [module for module in map(self._import_module_for(operation), self._modules) if module]
        for module in modules:
            for attribute in (name, named):
                function = getattr(module, attribute, None)
                if callable(function):
                    return typing.cast("Handler", function)
        if len(modules) == len(self._modules):
            close = difflib.get_close_matches(name, [key for module in modules for key in vars(module)], 1)
            hint = f" (there is {close[0]})" if close else ""
            self._note(
                operation, f"{' and '.join(self._modules)} has no function {name}{hint}", f"Write def {name}(…) there"
            )
        return None

    def _import_module_for(self, operation: Operation) -> Callable[[str], ModuleType | None]:
        return lambda module: self._import_module(operation, module)

    def _import_module(self, operation: Operation, module: str) -> ModuleType | None:
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name and (module == error.name or module.startswith(f"{error.name}.")):
                self._note(
                    operation, f"there is no module {module}", "Correct its name, or create it in the service's folder"
                )
            else:
                self._note(operation, f"module {module} does not import: {error}", "Install or correct what it imports")
        except Exception as error:  # noqa: BLE001 - whatever a user's module raises is a finding, not a traceback
            self._note(
                operation, f"module {module} does not import: {type(error).__name__}: {error}", "Correct the module"
            )
        return None

    def _import(self, operation: Operation, dotted: str, key: str) -> Handler | None:
        module_name, _, name = dotted.rpartition(".")
        if not module_name:
            self._note(operation, f"{key} is {dotted!r}, which names no module", "Write it as package.module.function")
            return None
        module = self._import_module(operation, module_name)
        if module is None:
            return None
        function = getattr(module, name, None) or getattr(module, snake_case(name), None)
        if not callable(function):
            close = difflib.get_close_matches(name, list(vars(module)), 1)
            hint = f" (there is {close[0]})" if close else ""
            self._note(operation, f"{module_name} has no function {name}{hint}", f"Write def {name}(…) there")
            return None
        return typing.cast("Handler", function)

    def _check_signature(self, operation: Operation, function: Handler) -> BoundHandler | None:
        before = len(self.findings)
        parameters = list(inspect.signature(function).parameters.values())
        takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
        named = [
            p for p in parameters if p.kind not in {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
        ]
        name = getattr(function, "__qualname__", repr(function))
        if operation.body is not None:
            takes_body = bool(named) or any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
            if takes_body and named:
                self._check_body_annotation(operation, function, named[0])
                named = named[1:]
            elif not takes_body:
                self._note(operation, f"{name} takes no body", "Make the body its first parameter")
        by_name = {parameter.name: parameter for parameter in named}
        keywords: dict[str, str] = {}
        for declared in operation.parameters:
            chosen = next((key for key in (declared.keyword, declared.name) if key in by_name), None)
            if chosen is None and not takes_any:
                self._note(
                    operation,
                    f"{name} takes no parameter {declared.keyword}",
                    f"Add {declared.keyword} to its parameters",
                )
            keywords[declared.keyword] = chosen or declared.keyword
        for parameter in named:
            if parameter.default is inspect.Parameter.empty and parameter.name not in keywords.values():
                self._note(
                    operation,
                    f"{name} demands {parameter.name}, which the operation does not have",
                    f"Remove {parameter.name}, give it a default, or declare it in the document",
                )
        if len(self.findings) > before:
            return None
        has_default = {key for key, p in by_name.items() if p.default is not inspect.Parameter.empty}
        optional = frozenset(
            key for key, own in keywords.items() if own in has_default or (takes_any and own not in by_name)
        )
        return BoundHandler(function, keywords, optional, operation.body is not None)

    def _check_body_annotation(self, operation: Operation, function: Handler, parameter: inspect.Parameter) -> None:
        model = self._body_models.get(operation.operation_id)
        try:
            annotation = typing.get_type_hints(function).get(parameter.name)
        except Exception:  # noqa: BLE001 - hints that cannot be resolved at run time are the type checker's business
            return
        if not isinstance(annotation, type):
            return
        is_model = issubclass(annotation, BaseModel) and annotation is not BaseModel
        if is_model and model is not None and not issubclass(model, annotation):
            name = getattr(function, "__qualname__", repr(function))
            found = f"{name} takes a body of class {annotation.__name__}, the document says {model.__name__}"
            self._note(operation, found, f"Annotate {parameter.name} with {model.__name__}")
