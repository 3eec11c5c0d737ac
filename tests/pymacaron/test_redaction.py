"""Secrets are taken out of reports."""

from __future__ import annotations

from datetime import date

import pytest

from pymacaron.redaction import MASK, redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"name": "Rex", "age": 3, "tags": None}, {"name": "Rex", "age": 3, "tags": None}, id="harmless"),
        pytest.param({"token_count": 3, "monkey": "Bo"}, {"token_count": 3, "monkey": "Bo"}, id="names-like-secrets"),
        pytest.param({"Password": "x", "user_token": "x"}, {"Password": MASK, "user_token": MASK}, id="names"),
        pytest.param({"X-Api-Key": "x", "sentry_dsn": "x"}, {"X-Api-Key": MASK, "sentry_dsn": MASK}, id="more-names"),
        pytest.param({"password": None}, {"password": None}, id="no-secret-at-all"),
        pytest.param({"headers": {"Authorization": "x"}}, {"headers": {"Authorization": MASK}}, id="nested"),
        pytest.param([{"secret": 1}, ("a", {"b"})], [{"secret": MASK}, ["a", ["b"]]], id="lists"),
        pytest.param(f"got {JWT}!", f"got {MASK}!", id="jwt"),
        pytest.param("sent bearer abcdef-123456", f"sent bearer {MASK}", id="bearer"),
        pytest.param("Authorization: Basic Ym9iOnNlY3JldA==", f"Authorization: Basic {MASK}", id="basic"),
        pytest.param("a basic idea, a token of it", "a basic idea, a token of it", id="prose"),
        pytest.param("key=hunter22&x=hunter2", f"key={MASK}&x={MASK}", id="known-secrets"),
        pytest.param({"at": date(2026, 1, 2)}, {"at": "2026-01-02"}, id="no-json"),
    ],
)
def test_redact(value: object, expected: object) -> None:
    """Values under telling names, JWTs, credentials and known secrets become asterisks; the rest stays."""
    assert redact(value, {"hunter2", "hunter22", "abc"}) == expected
