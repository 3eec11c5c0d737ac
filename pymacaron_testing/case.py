"""PyMacaronTestCase: the classic assertions on a live service, for unittest and pytest alike."""

# Names, argument order and flags are those of pymacaron 2, and assertions are unittest's:
# ruff: noqa: FBT001, FBT002, N802, PLR0913, PT009

from __future__ import annotations

import json
import os
import unittest
from typing import TYPE_CHECKING

import pytest
import requests

from pymacaron_testing.session import TargetSession

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject

_TRIES = 3
_TIMEOUT_S = 50.0
_OK = 200
_FOUND = 302
_UNAUTHORISED = 401
_HTTPS_PORT = "443"


class PyMacaronTestCase(unittest.TestCase):
    """A unittest case bound to the target, with the names and signatures of pymacaron 2.

    Under pytest the target is the plugin's; under plain unittest PYM_SERVER_HOST and PYM_SERVER_PORT name it.
    ``base_url``, ``host``, ``port`` (text) and ``token`` are set in `setUp`; token: a JWT without its scheme, minted
    with the service's configuration or taken from PYM_JWT_TOKEN, None without either. *auth* arguments are whole
    values of the Authorization header, ``f"Bearer {self.token}"``.
    """

    maxDiff = None
    base_url: str | None = None
    host: str | None = None
    port: str | None = None
    token: str | None = None
    _session: TargetSession | None = None

    @pytest.fixture(autouse=True)
    def _bind_to_target(self, request: pytest.FixtureRequest) -> None:
        """Take over the plugin's target, unless the class names its own."""
        if type(self).base_url is None and not os.environ.get("PYM_SERVER_HOST"):
            self.base_url = request.getfixturevalue("target").url
            self._session = request.getfixturevalue("http")
        if type(self).token is None:
            headers: dict[str, str] = request.getfixturevalue("auth_headers") if self.base_url else {}
            self.token = headers.get("Authorization", "").partition(" ")[2] or None

    def setUp(self) -> None:
        """Complete the address from the environment where pytest's plugin did not give it."""
        if self.base_url is None:
            self.base_url = _read_environment()
        self.token = self.token or os.environ.get("PYM_JWT_TOKEN")
        self._session = self._session or TargetSession(self.base_url)
        self.addCleanup(self._session.close)
        address = self.base_url.partition("://")[2].partition("/")[0]
        self.host, _, self.port = address.partition(":")
        self.port = self.port or ("443" if self.base_url.startswith("https") else "80")

    # --- what every pymacaron service has --------------------------------------------------------------------------

    def assertHasPing(self) -> None:
        """Require that /ping answers ``{}``."""
        self.assertGetReturnOk("ping")

    def assertHasVersion(self, verify_ssl: bool = True) -> JsonObject:
        """Require that /version tells name, version, apis and environment; return its answer."""
        answer: JsonObject = self.assertGetReturnJson("version", _OK, verify_ssl=verify_ssl)
        self.assertIsVersion(answer)
        return answer

    def assertHasAuthVersion(self, verify_ssl: bool = True) -> JsonObject:
        """Require that /auth/version refuses wrong callers and answers the right one; return that answer."""
        for auth, error in (
            (None, "AUTHORIZATION_HEADER_MISSING"),
            ("Bearer1234567890", "TOKEN_INVALID"),
            ("bearer foo bar", "TOKEN_INVALID"),
            ("Bearer 1234567890", "TOKEN_INVALID"),
        ):
            self.assertGetReturnError("auth/version", _UNAUTHORISED, error, auth, verify_ssl=verify_ssl)
        answer: JsonObject = self.assertGetReturnJson(
            "auth/version", _OK, f"Bearer {self.token}", verify_ssl=verify_ssl
        )
        self.assertIsVersion(answer)
        return answer

    def assertIsVersion(self, j: JsonObject) -> None:
        """Require the four keys of a version answer."""
        self.assertIsInstance(j["apis"], list)
        for key in ("name", "version", "pym_env"):
            self.assertIsInstance(j[key], str)

    # --- GET, POST, DELETE -----------------------------------------------------------------------------------------

    def assertGetReturnJson(
        self,
        path: str,
        status: int = _OK,
        auth: str | None = None,
        verify_ssl: bool = True,
    ) -> Json:
        """GET *path*, require *status* and return the JSON answer."""
        return self.assertCallReturnJson("GET", path, auth=auth, status=status, verify_ssl=verify_ssl)

    def assertPostReturnJson(
        self,
        path: str,
        data: Json,
        status: int = _OK,
        auth: str | None = None,
        verify_ssl: bool = True,
    ) -> Json:
        """POST *data* to *path*, require *status* and return the JSON answer."""
        return self.assertCallReturnJson("POST", path, data, auth, status, verify_ssl=verify_ssl)

    def assertDeleteReturnJson(self, path: str, status: int = _OK, auth: str | None = None) -> Json:
        """DELETE *path*, require *status* and return the JSON answer."""
        return self.assertCallReturnJson("DELETE", path, auth=auth, status=status)

    def assertGetReturnDict(
        self,
        path: str,
        kv: JsonObject,
        status: int = _OK,
        auth: str | None = None,
        verify_ssl: bool = True,
    ) -> JsonObject:
        """GET *path*, require *status* and the keys and values of *kv* in the answer, which is returned."""
        return self.assertCallReturnDict("GET", path, kv, None, auth, status, verify_ssl=verify_ssl)

    def assertPostReturnDict(
        self,
        path: str,
        data: Json,
        kv: JsonObject,
        status: int = _OK,
        auth: str | None = None,
        verify_ssl: bool = True,
    ) -> JsonObject:
        """POST *data*, require *status* and the keys and values of *kv* in the answer, which is returned."""
        return self.assertCallReturnDict("POST", path, kv, data, auth, status, verify_ssl=verify_ssl)

    def assertGetReturnOk(self, path: str, auth: str | None = None) -> None:
        """GET *path* and require 200 with ``{}``."""
        self.assertCallReturnOk("GET", path, auth=auth)

    def assertPostReturnOk(self, path: str, data: Json, auth: str | None = None) -> None:
        """POST *data* to *path* and require 200 with ``{}``."""
        self.assertCallReturnOk("POST", path, data, auth)

    def assertGetReturnError(
        self,
        path: str,
        status: int,
        error: str,
        auth: str | None = None,
        verify_ssl: bool = True,
    ) -> JsonObject:
        """GET *path* and require the error body of *status* with the code *error*."""
        expected = {"status": status, "error": error}
        return self.assertGetReturnDict(path, expected, status, auth, verify_ssl=verify_ssl)

    def assertPostReturnError(
        self,
        path: str,
        data: Json,
        status: int,
        error: str,
        auth: str | None = None,
        verify_ssl: bool = True,
    ) -> JsonObject:
        """POST *data* and require the error body of *status* with the code *error*."""
        expected = {"status": status, "error": error}
        return self.assertPostReturnDict(path, data, expected, status, auth, verify_ssl=verify_ssl)

    # --- any method ------------------------------------------------------------------------------------------------

    def assertCallReturnJson(
        self,
        method: str,
        path: str,
        data: Json = None,
        auth: str | None = None,
        status: int = _OK,
        allow_error: bool = False,
        verify_ssl: bool = True,
    ) -> Json:
        """Call *path*, require *status* and return the JSON answer. allow_error: any status but 200 will do too."""
        response = self._call(method, path, data, auth, verify_ssl=verify_ssl)
        if not allow_error or response.status_code == _OK:
            self._require_status(response, status)
        return response.json()

    def assertCallReturnDict(
        self,
        method: str,
        path: str,
        kv: JsonObject,
        data: Json = None,
        auth: str | None = None,
        status: int = _OK,
        verify_ssl: bool = True,
    ) -> JsonObject:
        """Call *path*, require *status* and the keys and values of *kv* in the answer, which is returned."""
        answer: JsonObject = self.assertCallReturnJson(method, path, data, auth, status, verify_ssl=verify_ssl)
        for key, value in kv.items():
            self.assertIn(key, answer, f"{key} in {json.dumps(answer)}")
            self.assertEqual(answer[key], value)
        return answer

    def assertCallReturnOk(self, method: str, path: str, data: Json = None, auth: str | None = None) -> None:
        """Call *path* and require 200 with ``{}``."""
        self.assertEqual(self.assertCallReturnJson(method, path, data, auth), {})

    def assertCallReturnError(
        self, method: str, path: str, status: int, error: str, data: Json = None, auth: str | None = None
    ) -> JsonObject:
        """Call *path* and require the error body of *status* with the code *error*."""
        return self.assertCallReturnDict(method, path, {"status": status, "error": error}, data, auth, status)

    def assertCallReturnHtml(
        self,
        method: str,
        path: str,
        data: Json = None,
        auth: str | None = None,
        status: int = _OK,
        allow_redirects: bool = True,
        verify_ssl: bool = True,
        quiet: bool = False,
    ) -> str:
        """Call *path*, require *status* and HTML in UTF-8; return the text. quiet: kept, without effect."""
        del quiet
        response = self._call(method, path, data, auth, verify_ssl=verify_ssl, allow_redirects=allow_redirects)
        return self._require_text(response, status, "text/html")

    def assertCallReturnText(
        self,
        method: str,
        path: str,
        data: Json = None,
        auth: str | None = None,
        status: int = _OK,
        allow_redirects: bool = True,
        verify_ssl: bool = True,
        quiet: bool = False,
    ) -> str:
        """Call *path*, require *status* and plain text in UTF-8; return it. quiet: kept, without effect."""
        del quiet
        response = self._call(method, path, data, auth, verify_ssl=verify_ssl, allow_redirects=allow_redirects)
        return self._require_text(response, status, "text/plain")

    def assertCallReturnRedirect(
        self,
        method: str,
        path: str,
        data: Json = None,
        auth: str | None = None,
        status: int = _FOUND,
        allow_redirects: bool = False,
        verify_ssl: bool = True,
        quiet: bool = False,
    ) -> str:
        """Call *path*, require *status* and return where the redirect leads. quiet: kept, without effect."""
        del quiet
        response = self._call(method, path, data, auth, verify_ssl=verify_ssl, allow_redirects=allow_redirects)
        self._require_status(response, status)
        self.assertTrue(response.is_redirect)
        return str(response.next.url if response.next else "")

    # --- inside ----------------------------------------------------------------------------------------------------

    def _call(
        self,
        method: str,
        path: str,
        data: Json,
        auth: str | None,
        *,
        verify_ssl: bool,
        allow_redirects: bool = True,
        content_type: str | None = "application/json",
    ) -> requests.Response:
        """Send the request; a GET whose answer takes too long is tried three times."""
        assert self._session is not None, "call super().setUp() in your setUp"
        headers = {"Authorization": auth} if auth else {}
        body = data if data is None or isinstance(data, str) else json.dumps(data)
        if body is not None and (content_type or not isinstance(data, str)):
            headers["Content-Type"] = "application/json"
        verify = verify_ssl and not os.environ.get("NO_SSL_CHECK")
        for tries_left in reversed(range(_TRIES)):
            self._session.cookies.clear()
            try:
                return self._session.request(
                    method.upper(),
                    path,
                    data=body.encode() if body is not None else None,
                    headers=headers,
                    timeout=_TIMEOUT_S,
                    verify=verify,
                    allow_redirects=allow_redirects,
                )
            except requests.ReadTimeout:
                if method.upper() != "GET" or not tries_left:
                    raise
        raise AssertionError("not reached")

    def _require_status(self, response: requests.Response, status: int) -> None:
        sent = f"{response.request.method} {response.request.url}"
        shown = f"{sent} answered {response.status_code}: {response.text[:500]}"
        self.assertEqual(response.status_code, status, shown)

    def _require_text(self, response: requests.Response, status: int, media_type: str) -> str:
        self._require_status(response, status)
        self.assertEqual(response.headers.get("Content-Type", "").lower(), f"{media_type}; charset=utf-8")
        return response.text


def _read_environment() -> str:
    host, port = os.environ.get("PYM_SERVER_HOST"), os.environ.get("PYM_SERVER_PORT")
    if not host or not port:
        raise RuntimeError(
            "No target is known. Run pytest with --pymacaron-target=URL or in the service's folder, "
            "or set PYM_SERVER_HOST and PYM_SERVER_PORT"
        )
    for scheme in ("http://", "https://"):
        host = host.removeprefix(scheme)
    return f"{'https' if port == _HTTPS_PORT else 'http'}://{host.rstrip('/')}:{port}"
