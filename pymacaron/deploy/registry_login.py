"""Logs in to registries: credentials as `docker login` left them, and the tokens that registries give for them."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from pymacaron.deploy.reference import DOCKER_HUB
from pymacaron.exceptions import Finding, TargetError
from pymacaron.json_types import JsonObject

_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")
_PARAMETER = re.compile(r'([a-zA-Z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_TOKEN_USER = "<token>"  # noqa: S105 - what docker-credential helpers answer as the user of an identity token
_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and password, or an identity token to swap for others. Neither shows in the repr."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


def find_credentials(registry: str, folder: Path | None = None) -> Credentials | None:
    """Return what `docker login` remembers for *registry*, None for nothing.

    folder: where ``config.json`` lies; by default $DOCKER_CONFIG or ~/.docker. Programs that it names
    (``credHelpers``, ``credsStore``) are asked. Raises: TargetError: the file or such a program is broken.
    """
    folder = folder or Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    settings = _read_settings(folder / "config.json")
    keys = _HUB_KEYS if registry == DOCKER_HUB else (registry, f"https://{registry}", f"https://{registry}/v2/")
    helpers = settings.get("credHelpers")
    for key in keys:
        if isinstance(helpers, dict) and key in helpers:
            return _ask_program(str(helpers[key]), key)
    stored = settings.get("auths")
    for key in keys:
        entry = stored.get(key) if isinstance(stored, dict) else None
        if isinstance(entry, dict) and (found := _read_entry(entry)):
            return found
    if settings.get("credsStore"):
        return _ask_program(str(settings["credsStore"]), keys[0])
    return None


@contextmanager
def docker_knowing(registry: str, credentials: Credentials | None) -> Iterator[dict[str, str]]:
    """Give the variables with which the docker command knows *credentials* too; they are kept until the block ends.

    What docker's folder has stays in force, except credentials of other registries that a program keeps.
    """
    if credentials is None:
        yield {}
        return
    usual = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    settings = {
        key: value for key, value in _read_settings(usual / "config.json").items() if not key.startswith("cred")
    }
    known = settings.get("auths")
    pair = base64.b64encode(f"{credentials.user}:{credentials.password}".encode()).decode()
    settings["auths"] = {**(known if isinstance(known, dict) else {}), registry: {"auth": pair}}
    with TemporaryDirectory(prefix="pymacaron-docker-") as name:  # readable by its owner only
        for part in usual.glob("*"):
            if part.name != "config.json":
                (Path(name) / part.name).symlink_to(part)
        (Path(name) / "config.json").write_text(json.dumps(settings), encoding="utf-8")
        yield {"DOCKER_CONFIG": name}


def _read_settings(file: Path) -> JsonObject:
    if not file.is_file():
        return {}
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        found = f"cannot read it ({type(error).__name__})"
        raise TargetError(Finding(str(file), found, "Mend it, or run docker login again")) from None
    return settings if isinstance(settings, dict) else {}


def _read_entry(entry: JsonObject) -> Credentials | None:
    token = str(entry.get("identitytoken") or "")
    try:
        user, _, password = base64.b64decode(str(entry.get("auth") or ""), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user, password = "", ""
    user, password = user or str(entry.get("username") or ""), password or str(entry.get("password") or "")
    return Credentials(user, password, token) if user or token else None


def _ask_program(name: str, key: str) -> Credentials | None:
    """Ask ``docker-credential-NAME`` (protocol of docker-credential-helpers). None if it knows nothing of *key*."""
    program = f"docker-credential-{name}"
    try:
        done = subprocess.run(  # noqa: S603 - the user's own program, as docker runs it
            [program, "get"], input=key, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        found = f"{program} does not answer ({type(error).__name__})"
        raise TargetError(Finding(key, found, "Install it, or take it out of docker's config.json")) from None
    if done.returncode:
        if "not found" in done.stdout + done.stderr:
            return None
        words = " ".join((done.stdout + done.stderr).split())[:200]
        raise TargetError(Finding(key, f"{program} refuses: {words}", "Log in again, as that program wants it"))
    try:
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, TypeError, KeyError):
        fix = "Log in again, as that program wants it"
        raise TargetError(Finding(key, f"{program} tells no Username and Secret in JSON", fix)) from None
    return Credentials(identity_token=secret) if user == _TOKEN_USER else Credentials(user, secret)


def log_in(
    session: requests.Session, answer: requests.Response, credentials: Credentials | None, scopes: list[str]
) -> str:
    """Return the value of ``Authorization`` that the 401 *answer* of a registry asks for, "" if it cannot be had.

    scopes: what is asked for beside the scope that the answer names. Credentials never go to a token server without
    TLS, unless the registry itself has none. Raises: TargetError: the token server refuses, or does not answer.
    Source: distribution's "Token Authentication Specification" and "OAuth2 Token Authentication".
    """
    scheme, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
    if scheme.lower() == "basic":
        if credentials is None or not credentials.user:
            return ""
        pair = f"{credentials.user}:{credentials.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"
    told = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
    realm = told.get("realm", "")
    if scheme.lower() != "bearer" or not realm:
        return ""
    if realm.startswith("http:") and answer.url.startswith("https:"):
        raise TargetError(Finding(answer.url, f"it sends to {realm} for a token, without TLS", "Ask who runs it"))
    asked = {"service": told.get("service", ""), "scope": [scope for scope in (told.get("scope"), *scopes) if scope]}
    token = _ask_token(session, realm, asked, credentials)
    return f"Bearer {token}"


def _ask_token(
    session: requests.Session, realm: str, asked: dict[str, str | list[str]], credentials: Credentials | None
) -> str:
    try:
        if credentials and credentials.identity_token:
            token = {"grant_type": "refresh_token", "refresh_token": credentials.identity_token}
            form = {**asked, "scope": " ".join(asked["scope"]), "client_id": "pymacaron", **token}
            answer = session.post(realm, data=form, timeout=_TIMEOUT_S)
        else:
            pair = requests.auth.HTTPBasicAuth(credentials.user, credentials.password) if credentials else None
            answer = session.get(realm, params=asked, auth=pair, timeout=_TIMEOUT_S)
        content = answer.json() if answer.ok else {}
    except (requests.RequestException, ValueError) as error:
        found = f"it gives no token ({type(error).__name__})"
        raise TargetError(Finding(realm, found, "Try again, or ask who runs it")) from None
    given = content.get("token") or content.get("access_token")
    if not given:
        who = credentials.user or "an identity token" if credentials else "nobody"
        found = f"it gives no token to {who}: status {answer.status_code}"
        raise TargetError(Finding(realm, found, "Run docker login for that registry"))
    return str(given)
