"""Calls DynamoDB through boto3: again where that helps, never longer than the timeout, with all stores' errors."""

from __future__ import annotations

import os
import random
import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from pymacaron.persistence.errors import ConflictError, StoredDataError, StoreUnavailableError, UnstorableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Source: DynamoDB developer guide, "Error handling with DynamoDB": errors that are worth another try.
_PASSING = frozenset({
    "InternalServerError", "ItemCollectionSizeLimitExceededException", "LimitExceededException",
    "ProvisionedThroughputExceeded", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
    "ServiceUnavailable", "ServiceUnavailableException", "Throttling", "ThrottlingError", "ThrottlingException",
    "TransactionInProgressException", "ResourceInUseException",
})  # fmt: skip
# Source: the same; the caller may not, or is not known.
_REFUSALS = frozenset({
    "AccessDenied", "AccessDeniedException", "ExpiredTokenException", "IncompleteSignatureException",
    "InvalidSignatureException", "MissingAuthenticationTokenException", "UnrecognizedClientException",
})  # fmt: skip
_COLLISIONS = frozenset({"TransactionConflictException", "TransactionConflict"})
_FIRST_SERVER_ERROR = 500
_FIRST_PAUSE_S = 0.025
_LONGEST_PAUSE_S = 1.0
# Parts of the timeout that one try may take, so that there is time for a second one.
_CONNECT_SHARE = 0.15
_READ_SHARE = 0.4
_TRY_SHARE = _CONNECT_SHARE + _READ_SHARE

_lock = threading.Lock()


def _renew_lock() -> None:
    """Let a child process have a lock that no thread of its parent holds."""
    global _lock  # noqa: PLW0603 - the fork's
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


@cache
def _session() -> boto3.Session:
    """Return the session of the process: each one reads boto3's descriptions of services again."""
    return boto3.Session()


def knows_region() -> bool:
    """Tell whether boto3 finds a region by itself: in the environment, or in its files."""
    return _session().region_name is not None


class ConditionFailedError(Exception):
    """A write found something else than it was to replace.

    item: what it found, None for nothing. is_repeated: an earlier try of the same write may have been done.
    """

    def __init__(self, item: dict[str, Any] | None, *, is_repeated: bool) -> None:
        """Take what was found."""
        super().__init__("the condition does not hold")
        self.item = item
        self.is_repeated = is_repeated


class DynamoCalls:
    """One account and region of DynamoDB, or a server that speaks like it."""

    def __init__(
        self,
        region: str | None,
        *,
        endpoint_url: str | None,
        credentials: tuple[str, str] | None,
        timeout_s: float,
        pool_size: int,
    ) -> None:
        """Take where DynamoDB is; nothing is connected yet."""
        self.timeout_s = timeout_s
        self._options: dict[str, Any] = {"region_name": region or None, "endpoint_url": endpoint_url or None}
        if credentials:
            self._options |= {"aws_access_key_id": credentials[0], "aws_secret_access_key": credentials[1]}
        self._options["config"] = Config(
            connect_timeout=timeout_s * _CONNECT_SHARE,
            read_timeout=timeout_s * _READ_SHARE,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=pool_size,
            parameter_validation=False,
        )
        self._client: DynamoDBClient | None = None
        self._process = 0

    @property
    def client(self) -> DynamoDBClient:
        """boto3's client of this process."""
        if self._client is None or self._process != os.getpid():
            with _lock:
                if self._client is None or self._process != os.getpid():
                    self._client = _session().client("dynamodb", **self._options)
                    self._process = os.getpid()
        return self._client

    def close(self) -> None:
        """Close all connections."""
        if self._client is not None and self._process == os.getpid():
            self._client.close()
        self._client = None

    def end_now_s(self) -> float:
        """Return until when, by `time.monotonic`, a try may begin that is part of a call that begins now."""
        return time.monotonic() + self.timeout_s * (1 - _TRY_SHARE)

    def call(self, operation: str, *, end_s: float | None = None, **parameters: Any) -> dict[str, Any]:
        """Return the answer of an operation of the client, ``get_item`` for one.

        end_s: what `end_now_s` returned at the first of several calls, which all together take no longer than one.
        Raises: ConditionFailedError. ConflictError: a transaction of others is in the way. UnstorableError: a value is
        too large. StoredDataError: there is no such table. StoreUnavailableError.
        """
        end_s = end_s or self.end_now_s()
        longest_s = _FIRST_PAUSE_S
        is_repeated = False
        while True:
            try:
                answer: dict[str, Any] = getattr(self.client, operation)(**parameters)
            except ClientError as error:
                problem = _tell(error, is_repeated=is_repeated)
                if problem is None or not _is_passing(error):
                    raise (problem or error) from error
            except (BotoConnectionError, HTTPClientError) as error:
                problem = StoreUnavailableError("The store is not reachable", retry_after_s=self.timeout_s)
                problem.__cause__ = error
            except BotoCoreError as error:
                found = "DynamoDB cannot be asked: credentials are missing, or cannot be had"
                raise StoreUnavailableError(found, retry_after_s=self.timeout_s) from error
            else:
                return answer
            pause_s = random.uniform(0, longest_s)  # noqa: S311 - only spreads the tries
            if time.monotonic() + pause_s > end_s:
                raise problem
            time.sleep(pause_s)
            longest_s = min(longest_s * 2, _LONGEST_PAUSE_S)
            is_repeated = True


def _codes(error: ClientError) -> set[str]:
    """Return the code of *error*, or those of the parts of a transaction."""
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    codes = {str(reason.get("Code")) for reason in reasons} - {"None"}
    return codes or {str(error.response.get("Error", {}).get("Code"))}


def _is_passing(error: ClientError) -> bool:
    codes = _codes(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return codes <= _PASSING | _COLLISIONS or status >= _FIRST_SERVER_ERROR


def _tell(error: ClientError, *, is_repeated: bool) -> Exception | None:
    """Return what *error* is among the errors of all stores, None if it is none of them."""
    codes = _codes(error)
    message = str(error.response.get("Error", {}).get("Message", ""))
    if "ConditionalCheckFailedException" in codes:
        return ConditionFailedError(error.response.get("Item"), is_repeated=is_repeated)  # type: ignore[arg-type]
    if "ConditionalCheckFailed" in codes or codes & _COLLISIONS:
        return ConflictError("Others changed the same objects meanwhile")
    if "ResourceNotFoundException" in codes:
        return StoredDataError("A table or an index of the store is missing. Run: pymacaron db upgrade")
    if codes & _REFUSALS:
        return StoreUnavailableError("DynamoDB refuses the credentials, or what they may do")
    if "size" in message.lower() and codes & {"ValidationException", "ValidationError", "TransactionCanceledException"}:
        return UnstorableError("An object is larger than the 400 KB that DynamoDB keeps, or its key is too long")
    return StoreUnavailableError("The store is overloaded or down") if _is_passing(error) else None
