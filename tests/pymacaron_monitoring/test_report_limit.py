"""The limit that processes share: one of a kind is taken, whatever place in the file the kind wants."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymacaron_monitoring.report_limit import SharedLimit

KINDS = [(512 * number).to_bytes(4, "big") + bytes([number] * 12) for number in range(9)]  # all want the same place
LAST = KINDS[8]


@pytest.fixture
def limits(tmp_path: Path) -> tuple[SharedLimit, SharedLimit]:
    """Return the limits of two processes."""
    return SharedLimit(tmp_path / "limit", 60), SharedLimit(tmp_path / "limit", 60)


def test_kinds_that_want_the_same_place_are_told_apart(limits: tuple[SharedLimit, SharedLimit]) -> None:
    """Each is taken once, by whichever process; a kind too many takes the place of the oldest."""
    first, second = limits
    assert [first.take(kind) for kind in KINDS[:8]] == [True] * 8
    assert [second.take(kind) for kind in KINDS[:8]] == [False] * 8
    assert [second.take(LAST), first.take(LAST)] == [True, False]
    assert [second.take(kind) for kind in KINDS[1:8]] == [False] * 7
    assert first.take(KINDS[0])


def test_a_kind_that_got_nowhere_is_taken_again(limits: tuple[SharedLimit, SharedLimit]) -> None:
    """Only that one."""
    first, second = limits
    assert [first.take(kind) for kind in KINDS[:3]] == [True] * 3
    second.forget(KINDS[1])
    assert [first.take(kind) for kind in KINDS[:3]] == [False, True, False]


def test_times_of_before_a_restart_of_the_machine_count_as_over(
    limits: tuple[SharedLimit, SharedLimit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock begins again then."""
    first, second = limits
    assert first.take(LAST)
    monkeypatch.setattr("time.monotonic", lambda: 1.0)
    assert [second.take(LAST), first.take(LAST)] == [True, False]


def test_kinds_do_not_last_longer_than_the_interval(tmp_path: Path) -> None:
    """With none, each one is taken."""
    limit = SharedLimit(tmp_path / "limit", 0)
    assert [limit.take(LAST), limit.take(LAST)] == [True, True]
