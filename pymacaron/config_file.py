"""Reads pym-config.yaml: where it stands, what is in it, which values come from the environment."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from pymacaron.exceptions import ConfigError, Finding
from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.lines import find_line
from pymacaron.spec.pointers import join_pointer
from pymacaron.spec.yaml_text import TextFault, YamlError, read_yaml

_CONTAINER_FOLDER = Path("/pym")


@dataclass(slots=True)
class ConfigFile:
    """A file that was read.

    values: top-level keys, secrets put in. secret_keys: those keys of *values* that hold a value from the environment,
    at any depth. secrets: those values. findings: what is wrong so far.
    """

    path: Path
    text: str = field(repr=False)
    values: JsonObject = field(default_factory=dict, repr=False)
    secret_keys: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set, repr=False)
    findings: list[Finding] = field(default_factory=list)

    def locate(self, *keys: str | int) -> str:
        """Return ``pym-config.yaml:3``, the place of a key in the file."""
        pointer = ""
        for key in keys:
            pointer = join_pointer(pointer, key)
        line = find_line(self.text, pointer)
        return f"{show_path(self.path)}:{line}" if line else show_path(self.path)


def show_path(path: Path) -> str:
    """Return *path* as people name it: relative to the working folder where it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def find_config_file(folder: Path | None, path: str | Path | None, env: str | None) -> Path | None:
    """Return the absolute path of the file to read, None if there is none.

    ``pym-config.<env>.yaml`` goes before ``pym-config.yaml``. path: a file, or a folder that is searched first. Without
    *folder* the places of pymacaron 2 are searched: the script's folder, /pym, the script's test/, the working folder.
    Raises: ConfigError: *path* does not exist.
    """
    script_folder = Path(sys.argv[0] or ".").parent
    folders = [folder] if folder else [script_folder, _CONTAINER_FOLDER, script_folder / "test", Path()]
    if path is not None:
        given = Path(path)
        if not given.exists():
            raise ConfigError(Finding(str(path), "there is no such file or folder", "Name the file to read"))
        if not given.is_dir():
            return given.resolve()
        folders.insert(0, given)
    names = [f"pym-config.{env}.yaml"] if env else []
    for name in (*names, "pym-config.yaml"):
        for candidate in folders:
            if (candidate / name).exists():
                return (candidate / name).resolve()
    return None


def read_config_file(path: Path, *, needs_secrets: bool = True) -> ConfigFile:
    """Read the file and put in the secrets that its ``env_secrets`` names.

    needs_secrets: False where the service itself does not run: keys whose secret is not set here are then left out, and
    below a key it is "".
    Raises: ConfigError: nothing can be read from it. Everything else that is wrong is in the result's ``findings``.
    """
    file = ConfigFile(path, _read_text(path))
    try:
        faults = read_yaml(file.text).faults
        content: Json = yaml.safe_load(file.text)
    except YamlError as error:
        raise ConfigError(_to_finding(path, error.fault)) from None
    except (yaml.YAMLError, ValueError):
        # The parser's own message may show a value, and a value may be a secret.
        found = "a value cannot be read, such as a date that does not exist"
        raise ConfigError(Finding(show_path(path), found, "Put quotes around text")) from None
    file.findings += [_to_finding(path, fault) for fault in faults]
    if content is None:
        content = {}
    if not isinstance(content, dict):
        found = f"the file holds a {type(content).__name__}, not keys and values"
        raise ConfigError(Finding(show_path(path), found, "Write lines such as name: pets"))
    file.values = {str(key): value for key, value in content.items()}
    _put_secrets(file, needs_secrets=needs_secrets)
    return file


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(Finding(show_path(path), f"cannot read it: {reason}", "Make it a readable file")) from error
    except UnicodeDecodeError:
        raise ConfigError(Finding(show_path(path), "it is no UTF-8 text", "Save it as UTF-8")) from None


def _to_finding(path: Path, fault: TextFault) -> Finding:
    where = f"{show_path(path)}:{fault.line}" if fault.line else show_path(path)
    return Finding(where, fault.found, fault.fix)


def _put_secrets(file: ConfigFile, *, needs_secrets: bool) -> None:
    names = file.values.get("env_secrets")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return  # absent, or of a wrong type, which the model of the configuration says
    for index, name in enumerate(names):
        if not os.environ.get(name) and not needs_secrets:
            _leave_out(file, name)
        elif not os.environ.get(name):
            found = f"the environment variable {name} is {'empty' if name in os.environ else 'not set'}"
            fix = f"Set {name}, or remove it from env_secrets and from the values"
            file.findings.append(Finding(file.locate("env_secrets", index), found, fix))
    secrets = {name: os.environ[name] for name in names if os.environ.get(name)}
    file.secrets.update(secrets.values())
    for key, value in file.values.items():
        if key != "env_secrets":
            file.values[key] = _substitute(value, secrets)
            if file.values[key] is not value:
                file.secret_keys.add(key)


def _leave_out(file: ConfigFile, name: str) -> None:
    for key, value in list(file.values.items()):
        if value == name:
            del file.values[key]
        elif key != "env_secrets":
            file.values[key] = _substitute(value, {name: ""})


def _substitute(value: Json, secrets: dict[str, str]) -> Json:
    """Return *value* with secrets in the place of their names; the same object if it holds none."""
    if isinstance(value, str):
        return secrets.get(value, value)
    if isinstance(value, dict):
        new: Json = {key: _substitute(inner, secrets) for key, inner in value.items()}
        return new if any(new[key] is not value[key] for key in value) else value
    if isinstance(value, list):
        new = [_substitute(inner, secrets) for inner in value]
        return new if any(a is not b for a, b in zip(new, value, strict=True)) else value
    return value
