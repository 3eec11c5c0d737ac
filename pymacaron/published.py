"""What a running release publishes: its documents, or why they could not be read, and its page of metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import requests

from pymacaron.exceptions import Finding, SpecError, TargetError
from pymacaron.spec import Api, parse_spec

FOLDER = "/doc"
"""Where pymacaron services publish their documents, unless they call `publish_apis` with another path."""

_TIMEOUT_S = 10
_USUAL_PATHS = ("/openapi.yaml", "/openapi.json", "/swagger.json", "/v3/api-docs")
_BUILTIN = frozenset({"ping", "crash"})


@dataclass(frozen=True, slots=True)
class Published:
    """apis: the documents. missing: name -> why it was not had: ``GET http://old/doc/shop.yaml is answered 404``."""

    apis: tuple[Api, ...]
    missing: Mapping[str, str]


def fetch_documents(url: str, names: Sequence[str], folder: str = FOLDER) -> Published:
    """Return the documents called *names* of the service at *url*: ``FOLDER/NAME.yaml``, or where others have theirs.

    Raises: TargetError: nobody answers.
    """
    with _open(url) as http:
        return _fetch_all(http, url.rstrip("/"), names, folder)


def fetch_all_documents(url: str, names: Sequence[str], folder: str = FOLDER) -> Published:
    """Return every document that the page at *folder* links; where there is no such page, those called *names*.

    With such a page, one of *names* that it does not link is not missing: this release has none of that name.
    Raises: TargetError: nobody answers.
    """
    with _open(url) as http:
        page = _get(http, url.rstrip("/") + folder)
        linked = re.findall(rf"""["']{re.escape(folder)}/([\w-]+)(?:\.yaml)?["']""", page.text) if page.ok else []
        return _fetch_all(http, url.rstrip("/"), sorted({*(linked or names)} - _BUILTIN), folder)


def ask_page(url: str, token: str | None = None) -> requests.Response:
    """Return what is answered at *url*, a page of metrics, to who has the bearer *token*.

    By a connection of its own: a load balancer keeps one connection at one instance. Raises: TargetError: nobody
    answers.
    """
    with _open(url) as http:
        http.headers.update({"Authorization": f"Bearer {token}"} if token else {})
        return _get(http, url)


def _open(url: str) -> requests.Session:
    http = requests.Session()
    http.trust_env = not url.startswith("http://127.0.0.1")  # no proxy of the environment is for loopback
    return http


def _fetch_all(http: requests.Session, url: str, names: Sequence[str], folder: str) -> Published:
    found, missing = [], {}
    for name in names:
        usual = _USUAL_PATHS if len(names) == 1 else ()
        api, why = _fetch_first(http, [f"{url}{path}" for path in (f"{folder}/{name}.yaml", *usual)], name)
        if api is None:
            missing[name] = why
        else:
            found.append(api)
    return Published(tuple(found), missing)


def _fetch_first(http: requests.Session, places: Iterable[str], name: str) -> tuple[Api | None, str]:
    """Return the first document that is at one of *places*, else None and why it is not at the first of them."""
    reasons = []
    for place in places:
        answer = _get(http, place)
        if not answer.ok:
            reasons.append(f"GET {place} is answered {answer.status_code}")
            continue
        try:
            return parse_spec(answer.text, source=place, name=name), ""
        except SpecError as error:
            reasons.append(f"GET {place} is no document: {error.findings[0].found}")
    return None, reasons[0]


def _get(http: requests.Session, place: str) -> requests.Response:
    try:
        return http.get(place, timeout=_TIMEOUT_S)
    except (requests.RequestException, ValueError) as error:
        found = f"it does not answer ({type(error).__name__})"
        raise TargetError(Finding(place, found, "Start the service, or correct the URL")) from error
