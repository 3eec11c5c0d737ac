"""Which documents a run keeps the target to: the service's own, one that was named, or what the target publishes."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import requests

from pymacaron.exceptions import Finding, TargetError
from pymacaron_testing.session import TargetSession, join_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymacaron.spec import Api, Operation

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
USUAL_PATHS = (
    "/openapi.json",
    "/openapi.yaml",
    "/openapi.yml",
    "/swagger.json",
    "/swagger.yaml",
    "/v3/api-docs",
    "/api-docs",
    "/api/openapi.json",
    "/docs/openapi.json",
    "/swagger/v1/swagger.json",
)
_INDEX = "/doc"
_BUILT_IN = {"ping", "crash"}
_LOOKS_LIKE = re.compile(rb"""["']?(openapi|swagger)["']?\s*:\s*["']?[23]\.""")
_HTTP_OK = 200
_HTTP_NOT_FOUND = 404
_MAX_PROBES = 6
_VARIABLE = re.compile(r"\{[^{}]+\}")


def find_own_documents(apis: Path) -> list[Path]:
    """Return the API documents of a service's folder *apis*, sorted; other files are left out."""
    if not apis.is_dir():
        return []
    files = sorted(path for path in apis.iterdir() if path.suffix in SUFFIXES and path.is_file())
    return [path for path in files if _LOOKS_LIKE.search(path.read_bytes())]


def find_published(url: str) -> list[str]:
    """Return the URLs of the documents that the target at *url* publishes.

    Looked for: what the index at /doc links to, then the usual places, of which the first that exists is taken.

    Raises: TargetError: nothing is found; with the places.
    """
    linked: dict[str, str] = {}
    for link in _links(join_url(url, _INDEX)):
        stem = Path(urlsplit(link).path).stem
        if stem not in linked and _is_document(link):
            linked[stem] = link
    if linked:
        return list(linked.values())
    for path in USUAL_PATHS:
        if _is_document(join_url(url, path)):
            return [join_url(url, path)]
    places = ", ".join((_INDEX, *USUAL_PATHS))
    raise TargetError(
        Finding(
            url,
            f"it publishes no API document (looked at {places})",
            "Name it with --pymacaron-spec FILE|URL, or name the tests to run without one",
        )
    )


def choose_prefix(api: Api, session: TargetSession) -> str:
    """Return the path below the target's URL at which the paths of *api* start: its base path, or nothing.

    A target URL with a path of its own is taken as it is. Otherwise operations tell, a GET without parameters best: the
    base path is left out only if one is found without it and not with it.
    """
    if not api.base_path or urlsplit(session.base_url).path.strip("/"):
        return ""
    for method, path in islice(_probes(api), _MAX_PROBES):
        is_found = [_is_there(session, prefix + path, method) for prefix in (api.base_path, "")]
        if is_found[0] != is_found[1]:
            return api.base_path if is_found[0] else ""
    return api.base_path


def _is_there(session: TargetSession, path: str, method: str) -> bool:
    try:
        return session.ask(path, method).status_code != _HTTP_NOT_FOUND
    except requests.RequestException:
        return False


def _probes(api: Api) -> Iterator[tuple[str, str]]:
    """Yield harmless requests, method and path, to which a service says whether it has such a path."""
    plain = [operation.path for operation in api.operations if "{" not in operation.path]
    yield from (("GET", operation.path) for operation in api.operations if _is_plain_get(operation))
    yield from (("OPTIONS", path) for path in plain)
    yield from (("OPTIONS", _VARIABLE.sub("1", operation.path)) for operation in api.operations)


def _is_plain_get(operation: Operation) -> bool:
    return operation.method.upper() == "GET" and "{" not in operation.path


def _is_document(url: str) -> bool:
    try:
        with TargetSession(url) as session:
            response = session.ask(url, follows=True)
    except requests.RequestException:
        return False
    return response.status_code == _HTTP_OK and bool(_LOOKS_LIKE.search(response.content))


def _links(index: str) -> Iterator[str]:
    """Yield the links of the page at *index* that look like documents of the service itself."""
    try:
        with TargetSession(index) as session:
            response = session.ask(index, follows=True)
    except requests.RequestException:
        return
    if response.status_code != _HTTP_OK or "html" not in response.headers.get("Content-Type", ""):
        return
    collector = _LinkCollector()
    collector.feed(response.text)
    for link in dict.fromkeys(collector.links):
        url = urljoin(response.url, link)
        path = Path(urlsplit(url).path)
        if path.stem in _BUILT_IN or urlsplit(url).netloc != urlsplit(index).netloc:
            continue
        if path.suffix in SUFFIXES:
            yield url
        elif path.parent.as_posix() == _INDEX:
            yield f"{url}.yaml"


class _LinkCollector(HTMLParser):
    """Gathers the targets of links."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember the target of a link."""
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]
