"""Lock and journal in a bucket of Google Cloud Storage, written on the condition of an object's generation."""

from __future__ import annotations

from typing import Any

from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed
from google.cloud.storage import Client

from pymacaron.deploy.gcp import find_credentials, told_as_ours
from pymacaron.deploy.target import ShelfConflict
from pymacaron.exceptions import Finding


class GcsShelf:
    """Objects ``FOLDER/KEY`` of one bucket, which the first write makes if it is not there.

    Source: Cloud Storage, "Request preconditions": a write with if-generation-match happens only if the object's
    generation is still that; 0 means that there is none.
    """

    def __init__(self, *, project: str, bucket: str, folder: str, location: str, endpoint: str | None = None) -> None:
        """Take where the objects lie; location: of a bucket that has to be made."""
        options = {"api_endpoint": endpoint} if endpoint else None
        self._client = Client(project=project, credentials=find_credentials(endpoint), client_options=options)
        self._bucket = self._client.bucket(bucket)
        self._folder = folder
        self._location = location
        self._where = f"Cloud Storage bucket {bucket}"

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Return the object's data and generation, None without it."""
        blob = self._blob(key)
        with told_as_ours(self._where):
            try:
                data = blob.download_as_bytes()
            except NotFound:
                return None
        return data, str(blob.generation)

    def put(self, key: str, data: bytes, tag: str | None) -> str:
        """Write the object if its generation is *tag* still. Raises ShelfConflict."""
        blob = self._blob(key)
        with told_as_ours(self._where):
            try:
                self._upload(blob, data, int(tag or 0))
            except PreconditionFailed as error:
                raise self._conflict(key) from error
        return str(blob.generation)

    def delete(self, key: str, tag: str) -> None:
        """Remove the object if its generation is *tag* still. Raises ShelfConflict."""
        blob = self._blob(key)
        with told_as_ours(self._where):
            try:
                blob.reload()
                if str(blob.generation) != tag:
                    raise self._conflict(key)
                blob.delete(if_generation_match=int(tag))
            except NotFound:
                return
            except PreconditionFailed as error:
                raise self._conflict(key) from error

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with *prefix*, sorted; none without a bucket."""
        start = f"{self._folder}/"
        with told_as_ours(self._where):
            try:
                names = [blob.name for blob in self._client.list_blobs(self._bucket, prefix=start + prefix)]
            except NotFound:
                return []
        return sorted(name.removeprefix(start) for name in names)

    def _upload(self, blob: Any, data: bytes, generation: int) -> None:
        try:
            blob.upload_from_string(data, content_type="application/octet-stream", if_generation_match=generation)
        except NotFound:
            if generation:
                raise PreconditionFailed("the object is gone") from None  # type: ignore[no-untyped-call]
            self._make_bucket()
            blob.upload_from_string(data, content_type="application/octet-stream", if_generation_match=generation)

    def _make_bucket(self) -> None:
        self._bucket.iam_configuration.uniform_bucket_level_access_enabled = True
        self._bucket.iam_configuration.public_access_prevention = "enforced"
        try:
            self._bucket.create(location=self._location)
        except Conflict:
            self._bucket.reload()

    def _blob(self, key: str) -> Any:
        return self._bucket.blob(f"{self._folder}/{key}")

    def _conflict(self, key: str) -> ShelfConflict:
        return ShelfConflict(Finding(f"{self._where}: {key}", "another one wrote it meanwhile", "Read it again"))
