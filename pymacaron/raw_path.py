"""The path of a request as it was sent: an encoded separator (%2F, %2C) inside a value stays part of the value.

Source: RFC 3986, section 2.2; WSGI itself only hands over the decoded path, servers add RAW_URI or REQUEST_URI.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Request

_VARIABLE = re.compile(r"\{([^{}]+)\}")
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
_SLASH = re.compile("%2[Ff]")
_KEPT = "pymacaron.path-with-encoded-slashes"


def find_raw_path(environ: Mapping[str, object]) -> str | None:
    """Return the path of the request as it was sent, None where the server does not tell (granian)."""
    uri = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if not isinstance(uri, str):
        return None
    path = uri.partition("?")[0]
    path = _AUTHORITY.sub("", path, count=1) if "://" in path else path
    return path.removeprefix(str(environ.get("SCRIPT_NAME", "")))


def keeps_slashes(environ: Mapping[str, object]) -> bool:
    """Tell whether the routed path has %2F in it where the decoded one would have a slash."""
    return _KEPT in environ


class RawPath:
    """The path template of one operation, for values out of the path as it was sent.

    names: parameter -> variable of the route.
    """

    def __init__(self, template: str, names: Mapping[str, str]) -> None:
        """Take the *template* as it is served, ``/v1/pets/{id}``."""
        self.names = names
        parts = _VARIABLE.split(template)
        # Greedy as the router is; a raw separator ends a value, an encoded one does not.
        bodies = [
            f"(?P<{names[part]}>[^/]+)" if index % 2 else re.escape(unquote(part)) for index, part in enumerate(parts)
        ]
        self.pattern = re.compile("".join(bodies), re.DOTALL)

    def find(self, request: Request, name: str) -> str:
        """Return the text of path parameter *name*, percent-encoded as it came, or so that it decodes to the same."""
        variable = self.names[name]
        routed: str = (request.view_args or {})[variable]
        raw = find_raw_path(request.environ)
        if raw is not None and "%" in raw:
            match = self.pattern.fullmatch(raw)
            if match is not None and _is_same(match[variable], routed, is_kept=keeps_slashes(request.environ)):
                return match[variable]
        return routed.replace("%", "%25")


def _is_same(raw: str, routed: str, *, is_kept: bool) -> bool:
    """Tell whether both are the same text: what stands before the app may have rewritten the path."""
    decoded = unquote(raw)
    return _SLASH.sub("/", decoded) == _SLASH.sub("/", routed) if is_kept else decoded == routed


class EncodedSlashes:
    """WSGI middleware: a path with %2F in it is routed with that as a part of its segment, if a document wants it so.

    Other routes of the app see what they would see without it.
    """

    def __init__(self, wsgi_app: WSGIApplication, find_paths: Callable[[], Iterable[RawPath]]) -> None:
        """Wrap *wsgi_app*, which serves the operations under the paths that *find_paths* returns."""
        self._wsgi_app = wsgi_app
        self._find_paths = find_paths

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request."""
        if "%2" in str(environ.get("RAW_URI") or environ.get("REQUEST_URI")):
            raw = find_raw_path(environ)
            if raw is not None and _SLASH.search(raw):
                self._keep_slashes(environ, raw)
        return self._wsgi_app(environ, start_response)

    def _keep_slashes(self, environ: WSGIEnvironment, raw: str) -> None:
        path = unquote(_SLASH.sub("%252F", raw))
        routed = environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace")
        is_same = unquote(raw) == routed
        if is_same and any(candidate.pattern.fullmatch(raw) for candidate in self._find_paths()):
            environ["PATH_INFO"] = path.encode().decode("latin-1")
            environ[_KEPT] = True
