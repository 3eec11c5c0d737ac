"""Loads the app that is to be served; what keeps it from starting is told in findings."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import traceback
from pathlib import Path

from flask import Flask

from pymacaron.exceptions import ConfigError, Finding, StartupError


def enter_folder(folder: Path) -> Path:
    """Make the service's *folder* the current one, and the first where its modules are looked for; return its path.

    Raises: StartupError: it is none.
    """
    if not folder.is_dir():
        raise StartupError(Finding(str(folder), "there is no such folder", "Name the folder that holds server.py"))
    folder = folder.resolve()
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    return folder


def load_app(target: str) -> Flask:
    """Import ``module:variable`` and return the app.

    Raises: StartupError: there is no such module or variable, or the app refuses to start.
    """
    module_name, _, variable = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        where = f"{Path.cwd()}/{module_name}.py"
        raise ConfigError(
            Finding(
                where,
                "there is no such file",
                "Run this in the service's folder, or name it: --folder DIR --app module:app",
            )
        ) from error
    app = getattr(module, variable or "app", None)
    if not isinstance(app, Flask):
        raise ConfigError(
            Finding(
                f"{module.__file__}", f"{variable or 'app'} is no Flask app", "Write app = create_app(__name__) there"
            )
        )
    return app


def load_or_explain(target: str) -> Flask | list[Finding]:
    """Return the app, or why there is none: whatever the user's module raises is told in one line, with its place.

    What is built while loading stays: looking for garbage among it costs a sixth of the time, and time later on.
    """
    gc.disable()
    try:
        app = load_app(target)
    except StartupError as error:
        return list(error.findings)
    except Exception as error:  # noqa: BLE001 - it is told, not passed on
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else target
        return [Finding(place, f"{type(error).__name__}: {error}", "Correct it; the service cannot be imported")]
    finally:
        gc.enable()
    gc.freeze()
    return app
