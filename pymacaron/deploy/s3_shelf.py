"""Keeps lock and journal in S3: small objects that are written on conditions."""

from __future__ import annotations

from botocore.exceptions import ClientError

from pymacaron.deploy.aws import Aws, read_code, telling
from pymacaron.deploy.target import ShelfConflict
from pymacaron.exceptions import Finding

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
# Source: S3 user guide, "Conditional writes": 412, and 409 where two writers meet.
_CONFLICTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})


class S3Shelf:
    """The objects of *bucket* below *prefix*, which ends with a slash; tags are S3's ETags."""

    def __init__(self, aws: Aws, bucket: str | None, prefix: str) -> None:
        """Take where they lie; the bucket must be there. None: Elastic Beanstalk's own, made when it is first used."""
        self._aws = aws
        self._bucket = bucket
        self.prefix = prefix

    @property
    def bucket(self) -> str:
        """Return the bucket's name."""
        return self._bucket or self._aws.own_bucket

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Return the data and its tag, None if there is no such key."""
        with telling("GetObject"):
            try:
                answer = self._aws.s3.get_object(Bucket=self.bucket, Key=self.prefix + key)
            except ClientError as error:
                if read_code(error) in _MISSING:
                    return None
                raise
            return answer["Body"].read(), answer["ETag"]

    def put(self, key: str, data: bytes, tag: str | None) -> str:
        """Write and return the new tag. tag: what must be there still; None: nothing may be. Raises ShelfConflict.

        An answer that is lost makes boto3 write again, which then meets its own first write: that is no conflict.
        """
        with telling("PutObject"):
            try:
                if tag is None:
                    answer = self._aws.s3.put_object(
                        Bucket=self.bucket, Key=self.prefix + key, Body=data, IfNoneMatch="*"
                    )
                else:
                    answer = self._aws.s3.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=data, IfMatch=tag)
            except ClientError as error:
                if read_code(error) not in (_CONFLICTS | _MISSING):
                    raise
                found = self.get(key)
                was_repeated = error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0
                if found is not None and found[0] == data and was_repeated:
                    return found[1]
                raise self._conflict(key) from error
            return answer["ETag"]

    def delete(self, key: str, tag: str) -> None:
        """Remove the key if *tag* is there still, and do nothing if it is gone. Raises ShelfConflict."""
        with telling("DeleteObject"):
            try:
                self._aws.s3.delete_object(Bucket=self.bucket, Key=self.prefix + key, IfMatch=tag)
            except ClientError as error:
                if read_code(error) in _MISSING:
                    return
                if read_code(error) in _CONFLICTS:
                    raise self._conflict(key) from error
                raise

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with *prefix*, sorted."""
        with telling("ListObjectsV2"):
            pages = self._aws.s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            )
            return sorted(item["Key"].removeprefix(self.prefix) for page in pages for item in page.get("Contents", ()))

    def _conflict(self, key: str) -> ShelfConflict:
        where = f"s3://{self.bucket}/{self.prefix}{key}"
        return ShelfConflict(Finding(where, "another one wrote it first", "Read it again"))
