"""Users from a file in the Web Fuzzing Commons format: fixed headers, or a login that gives a token or cookies.

Source: https://github.com/WebFuzzing/Commons, auth.yaml and auth.md.
"""

from __future__ import annotations

import json
import secrets
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pymacaron.exceptions import Finding, StartupError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Header(_Strict):
    """A header line."""

    name: str
    value: str


class Token(_Strict):
    """Where the answer to a login has the token, and where requests carry it. sendTemplate: with ``{token}``."""

    extractFrom: Literal["body", "header"]  # noqa: N815 - the format's names, here and below
    extractSelector: str  # noqa: N815
    sendIn: Literal["header", "query"]  # noqa: N815
    sendName: str  # noqa: N815
    sendTemplate: str = "{token}"  # noqa: N815


class Password(_Strict):
    """A name and a password, with the names of their fields."""

    username: str
    password: str
    usernameField: str  # noqa: N815
    passwordField: str  # noqa: N815


class Call(_Strict):
    """A request to the target, or to another server."""

    endpoint: str = ""
    externalEndpointURL: str = ""  # noqa: N815
    verb: Literal["POST", "GET", "PATCH", "DELETE", "PUT"]
    contentType: str = "application/json"  # noqa: N815
    payloadRaw: str | None = None  # noqa: N815

    @model_validator(mode="after")
    def _has_one_place(self) -> Call:
        if bool(self.endpoint) == bool(self.externalEndpointURL):
            raise ValueError("it needs one of endpoint and externalEndpointURL")
        return self

    @property
    def url(self) -> str:
        """URL, or path below the target's."""
        return self.externalEndpointURL or self.endpoint


class Login(Call):
    """A request that logs a user in."""

    payloadUserPwd: Password | None = None  # noqa: N815
    headers: tuple[Header, ...] = ()
    token: Token | None = None
    expectCookies: bool = False  # noqa: N815

    @model_validator(mode="after")
    def _gives_something(self) -> Login:
        if self.token is None and not self.expectCookies:
            raise ValueError("it needs token, or expectCookies: true")
        return self


class Generator(_Strict):
    """Makes a text that nobody has used yet, for the placeholder."""

    placeHolder: str = Field(min_length=1)  # noqa: N815
    minLength: int = 0  # noqa: N815
    maxLength: int = 64  # noqa: N815
    prefix: str = ""
    postfix: str = ""

    def make(self) -> str:
        """Return such a text."""
        wanted = max(self.minLength - len(self.prefix) - len(self.postfix), 12)
        room = max(self.maxLength - len(self.prefix) - len(self.postfix), 1)
        return f"{self.prefix}{secrets.token_hex(wanted)[: min(wanted, room)]}{self.postfix}"


class SignUp(Call):
    """A request that makes a new user."""

    generators: tuple[Generator, ...] = Field(min_length=1)


class FileUser(_Strict):
    """One user of the file. requireMockHandling: of no use from outside, taken and not looked at."""

    name: str
    fixedHeaders: tuple[Header, ...] = ()  # noqa: N815
    loginEndpointAuth: Login | None = None  # noqa: N815
    createUsers: SignUp | None = None  # noqa: N815
    requireMockHandling: bool = False  # noqa: N815

    @model_validator(mode="after")
    def _has_credentials(self) -> FileUser:
        if not self.fixedHeaders and self.loginEndpointAuth is None:
            raise ValueError("it needs fixedHeaders or loginEndpointAuth")
        return self

    def fill_in(self, values: Mapping[str, str]) -> FileUser:
        """Return the user with the placeholders replaced by *values* in every text."""
        return FileUser.model_validate(_map_texts(self.model_dump(), lambda text: _replace_all(text, values)))


def read_auth_file(path: Path) -> tuple[FileUser, ...]:
    """Return the users of a YAML, JSON or TOML file, the template filled in.

    Raises: StartupError: with everything that is wrong in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        found = f"it cannot be read ({getattr(error, 'strerror', None) or 'no UTF-8'})"
        raise StartupError(Finding(str(path), found, "Give the path of an auth file")) from error
    except (tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        found = f"it is no valid {'TOML' if path.suffix == '.toml' else 'YAML'}"
        raise StartupError(Finding(str(path), found, "Correct it")) from error
    entries = data.get("auth") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not entries:
        raise StartupError(Finding(str(path), "it has no list auth", "Write auth: with a list of users"))
    template = data.get("authTemplate") or {}
    users: list[FileUser] = []
    findings: list[Finding] = []
    for number, entry in enumerate(entries):
        try:
            users.append(FileUser.model_validate(_apply(template, entry)))
        except ValidationError as error:
            findings += [_describe(path, number, detail) for detail in error.errors()]
    if findings:
        raise StartupError(findings)
    return tuple(users)


def find_token(document: object, pointer: str) -> object:
    """Return what a JSON Pointer names in *document*, None if nothing. Source: RFC 6901."""
    for word in pointer.split("/")[1:]:
        key = word.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and key.isdigit() and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document


def _describe(path: Path, number: int, detail: Any) -> Finding:
    """Return a finding without the value: it may be a secret."""
    pointer = "/".join(["#/auth", str(number), *map(str, detail["loc"])])
    message = str(detail["msg"]).removeprefix("Value error, ")
    return Finding(f"{path}{pointer}", message[:1].lower() + message[1:], "Correct it")


def _apply(template: object, entry: object) -> object:
    """Return *entry* with the template's; who has fixed headers only does not log in for it."""
    login = "loginEndpointAuth"
    if isinstance(template, dict) and isinstance(entry, dict) and "fixedHeaders" in entry and login not in entry:
        template = {key: value for key, value in template.items() if key != login}
    return _merge(template, entry)


def _merge(template: object, entry: object) -> object:
    """Return *entry* with what only the template has."""
    if isinstance(template, dict) and isinstance(entry, dict):
        return {
            key: _merge(template.get(key), entry[key]) if key in entry else template[key]
            for key in {**template, **entry}
        }
    return template if entry is None else entry


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _map_texts(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_map_texts(item, change) for item in value]
    return value


def _replace_all(text: str, values: Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


def write_payload(login: Login) -> tuple[str | None, str]:
    """Return body and media type of a login request."""
    if login.payloadUserPwd is None:
        return login.payloadRaw, login.contentType
    fields = {
        login.payloadUserPwd.usernameField: login.payloadUserPwd.username,
        login.payloadUserPwd.passwordField: login.payloadUserPwd.password,
    }
    if "urlencoded" in login.contentType:
        return urlencode(fields), login.contentType
    return json.dumps(fields), login.contentType
