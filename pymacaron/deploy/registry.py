"""Talks to a registry of images (OCI distribution specification 1.1): manifests and blobs, there and back."""

from __future__ import annotations

import hashlib
import io
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin

import requests

from pymacaron.deploy.reference import ImageReference
from pymacaron.deploy.registry_login import Credentials, find_credentials, log_in
from pymacaron.exceptions import Finding, TargetError
from pymacaron.json_types import JsonObject

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker.distribution.manifest"
MANIFEST_KINDS = (
    f"{OCI}.manifest.v1+json",
    f"{OCI}.index.v1+json",
    f"{DOCKER}.v2+json",
    f"{DOCKER}.list.v2+json",
)
_TIMEOUT_S = (10, 120)
_ATTEMPTS = 4
_PAUSE_S = 0.3
_LONGEST_PAUSE_S = 20.0
_CHUNK_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 256 * 1024
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as the registry has it. data: its bytes. kind: media type."""

    data: bytes
    kind: str

    @property
    def digest(self) -> str:
        """Return ``sha256:…`` of the bytes."""
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"

    @property
    def content(self) -> JsonObject:
        """Return what the bytes say."""
        content: JsonObject = json.loads(self.data)
        return content


class RegistryClient:
    """One repository of one registry. Every method raises TargetError with the registry's own reason.

    Answers that may pass (408, 429, 500, 502, 503, 504, lost connections) are waited for, up to four times.
    """

    def __init__(self, reference: ImageReference, *, source: str = "", credentials: Credentials | None = None) -> None:
        """Take any *reference* into the repository.

        source: another repository of that registry that blobs can be mounted from. credentials: by default what
        `docker login` remembers.
        """
        self.reference = reference
        self._session = requests.Session()
        self._session.auth = _keep  # else requests would put in what a .netrc says
        self._credentials = credentials
        self._is_searched = credentials is not None
        self._scopes = [f"repository:{source}:pull"] if source else []
        self._source = source
        self._authorization = ""

    def fetch_manifest(self, version: str) -> Manifest:
        """Return the manifest with that tag or digest. Raises TargetError, also if it is not what its digest says."""
        headers = {"Accept": ", ".join(MANIFEST_KINDS)}
        answer = self._ask("GET", f"manifests/{version}", headers=headers)
        if answer.status_code == requests.codes.not_found:
            raise self._refuse(answer, "there is no such image", "Name one that is there")
        self._expect(answer, requests.codes.ok, "cannot be read")
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        manifest = Manifest(answer.content, kind or str(answer.json().get("mediaType", MANIFEST_KINDS[0])))
        if version.startswith("sha256:") and manifest.digest != version:
            raise self._refuse(answer, "the manifest is another one than its digest says", "Ask who runs the registry")
        return manifest

    def find_digest(self, version: str) -> str | None:
        """Return the digest of the manifest with that tag or digest, None if there is none."""
        answer = self._ask("HEAD", f"manifests/{version}", headers={"Accept": ", ".join(MANIFEST_KINDS)})
        if answer.status_code == requests.codes.not_found:
            return None
        self._expect(answer, requests.codes.ok, "cannot be read")
        return answer.headers.get("Docker-Content-Digest") or self.fetch_manifest(version).digest

    def push_manifest(self, manifest: Manifest, version: str) -> str:
        """Put a manifest there, with that tag, and return its digest."""
        answer = self._ask(
            "PUT", f"manifests/{version}", data=lambda: manifest.data, headers={"Content-Type": manifest.kind}
        )
        self._expect(answer, requests.codes.created, "the registry refuses the manifest")
        given = answer.headers.get("Docker-Content-Digest", manifest.digest)
        if given != manifest.digest:
            raise self._refuse(answer, f"the registry stored {given}, not {manifest.digest}", "Ask who runs it")
        return given

    def has_blob(self, digest: str) -> bool:
        """Tell whether the blob is there."""
        answer = self._ask("HEAD", f"blobs/{digest}")
        if answer.status_code == requests.codes.not_found:
            return False
        self._expect(answer, requests.codes.ok, "cannot be asked for a layer")
        return True

    def fetch_blob(self, digest: str, file: Path) -> None:
        """Write the blob to *file*, which is whole or not there at all."""
        part = file.with_name(f"{file.name}.{random.getrandbits(32):08x}.part")
        for attempt in range(_ATTEMPTS):
            answer = self._ask("GET", f"blobs/{digest}", stream=True)
            self._expect(answer, requests.codes.ok, f"cannot read {digest}")
            try:
                found = _write(answer.iter_content(_PIECE_BYTES), part)
            except requests.RequestException as error:
                found = type(error).__name__
            if found == digest:
                part.rename(file)
                return
            part.unlink(missing_ok=True)
            _wait(attempt, None)
        raise self._fail(f"{digest} does not come whole", "Try again")

    def push_blob(self, digest: str, file: Path) -> None:
        """Put what *file* holds there, at once, or in parts where the registry wants no long bodies.

        Artifact Registry knows no parts, and servers before others refuse long bodies with 413: hence both.
        """
        for attempt in range(_ATTEMPTS):
            place = self._begin_upload({})
            with file.open("rb") as body:
                answer = self._send("PUT", _with_digest(place, digest), data=_rewinding(body), attempts=1)
            if answer is not None and answer.status_code == requests.codes.request_entity_too_large:
                answer = self._push_parts(digest, file)
            if answer is not None and answer.status_code not in _PASSING:
                self._expect(answer, requests.codes.created, f"the registry refuses the layer {digest}")
                return
            _wait(attempt, answer)
        raise self._fail(f"the layer {digest} does not get through", "Try again; nothing was published")

    def mount_blob(self, digest: str) -> bool:
        """Give the repository a blob of the *source* repository; False if the registry does not do that."""
        return bool(self._source) and not self._begin_upload({"mount": digest, "from": self._source})

    def _begin_upload(self, parameters: Mapping[str, str]) -> str:
        """Return the URL to upload to, "" if the blob was mounted."""
        answer = self._ask("POST", "blobs/uploads/", params=parameters)
        if answer.status_code == requests.codes.created:
            return ""
        self._expect(answer, requests.codes.accepted, "the registry takes no layers")
        return urljoin(answer.url, answer.headers.get("Location", ""))

    def _push_parts(self, digest: str, file: Path) -> requests.Response | None:
        """Upload in parts, each sent again from where the registry says it is. None: no answer came."""
        place, start, size = self._begin_upload({}), 0, file.stat().st_size
        for _ in range(_ATTEMPTS + size // _CHUNK_BYTES):
            if start >= size:
                break
            with file.open("rb") as source:
                source.seek(start)
                part = source.read(_CHUNK_BYTES)
            headers = {
                "Content-Range": f"{start}-{start + len(part) - 1}",
                "Content-Type": "application/octet-stream",
            }
            answer = self._send("PATCH", place, data=_rewinding(io.BytesIO(part)), headers=headers, attempts=1)
            if answer is None or answer.status_code != requests.codes.accepted:
                answer = self._send("GET", place)
                if answer is None or answer.status_code != requests.codes.no_content:
                    return answer
            place = urljoin(answer.url, answer.headers.get("Location", place))
            end = int(answer.headers.get("Range", f"0-{start + len(part) - 1}").rpartition("-")[2])
            start = end + 1 if end else 0  # docker-registry says 0-0 where there is nothing yet
        return self._send("PUT", _with_digest(place, digest))

    def _ask(self, method: str, path: str, **settings: object) -> requests.Response:
        answer = self._send(method, f"{self.reference.root}/{path}", **settings)  # type: ignore[arg-type]
        if answer is None:
            raise self._fail("the registry does not answer", "Check its name, and that it runs")
        return answer

    def _send(
        self,
        method: str,
        url: str,
        *,
        data: Callable[[], BinaryIO | bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        stream: bool = False,
        attempts: int = _ATTEMPTS,
    ) -> requests.Response | None:
        """Send a request, logged in if that is asked for; None if no attempt got an answer. data: makes the body."""
        answer: requests.Response | None = None
        is_renewed, attempt = False, 0
        while attempt < attempts:
            sent = dict(headers or {})
            if self._authorization:
                sent["Authorization"] = self._authorization
            body = data() if data else None
            try:
                answer = self._session.request(
                    method, url, data=body, headers=sent, params=params, stream=stream, timeout=_TIMEOUT_S
                )
            except requests.RequestException:
                answer = None
            if answer is not None and answer.status_code == requests.codes.unauthorized and not is_renewed:
                is_renewed = True
                self._authorization = log_in(self._session, answer, self._find_credentials(), self._scopes)
                continue
            if answer is not None and answer.status_code not in _PASSING:
                return answer
            attempt += 1
            if attempt < attempts:
                _wait(attempt, answer)
        return answer

    def _find_credentials(self) -> Credentials | None:
        if not self._is_searched:
            self._credentials, self._is_searched = find_credentials(self.reference.registry), True
        return self._credentials

    def _expect(self, answer: requests.Response, status: int, what: str) -> None:
        if answer.status_code == status:
            return
        if answer.status_code in {requests.codes.unauthorized, requests.codes.forbidden}:
            raise self._refuse(answer, what, f"Run docker login {self.reference.registry} with an account that may")
        if answer.status_code == requests.codes.not_found:
            raise self._refuse(answer, what, "Create the repository, or mend its name")
        raise self._refuse(answer, what, "Try again, or ask who runs the registry")

    def _refuse(self, answer: requests.Response, what: str, fix: str) -> TargetError:
        try:
            told = [f"{error.get('code')} {error.get('message') or ''}".strip() for error in answer.json()["errors"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            told = []
        words = f": {'; '.join(told)}" if told else ""
        return self._fail(f"{what} (status {answer.status_code}{words[:300]})", fix)

    def _fail(self, found: str, fix: str) -> TargetError:
        return TargetError(Finding(str(self.reference), found, fix))


def _keep(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _rewinding(body: BinaryIO) -> Callable[[], BinaryIO]:
    """Return what gives *body* from its beginning, however often it was sent."""

    def rewind() -> BinaryIO:
        body.seek(0)
        return body

    return rewind


def _with_digest(url: str, digest: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}digest={digest}"


def _write(pieces: Iterator[bytes], file: Path) -> str:
    """Write *pieces* to *file* and return the digest of what was written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    seen = hashlib.sha256()
    with file.open("wb") as target:
        for piece in pieces:
            seen.update(piece)
            target.write(piece)
    return f"sha256:{seen.hexdigest()}"


def _wait(attempt: int, answer: requests.Response | None) -> None:
    """Wait before the next attempt: as long as the registry says, else twice as long each time."""
    told = answer.headers.get("Retry-After", "") if answer is not None else ""
    pause = float(told) if told.isdigit() else _PAUSE_S * 2**attempt * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
    time.sleep(min(pause, _LONGEST_PAUSE_S))
