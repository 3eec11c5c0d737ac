"""The bus carries events to listeners, who cannot break anything."""

from __future__ import annotations

import logging

import pytest

from pymacaron.events import Bus, ContractViolated, SectionTimed


def test_listeners_hear_their_events_in_order() -> None:
    """Listeners of an event's class hear it in the order in which they subscribed."""
    bus = Bus()
    heard: list[tuple[str, SectionTimed]] = []
    bus.subscribe(SectionTimed, lambda event: heard.append(("first", event)))
    bus.subscribe(SectionTimed, lambda event: heard.append(("second", event)))
    event = SectionTimed("db", "select", 0.1)
    bus.emit(event)
    bus.emit(ContractViolated("get_pet", "response 200", "wrong"))
    assert heard == [("first", event), ("second", event)]


def test_is_heard_tells_whether_anyone_listens() -> None:
    """Only the class that was subscribed to is heard."""
    bus = Bus()
    bus.subscribe(SectionTimed, print)
    assert (bus.is_heard(SectionTimed), bus.is_heard(ContractViolated)) == (True, False)


def test_the_list_of_listeners_stays_up_to_date() -> None:
    """Whoever asked before anyone listened sees who listens now; asking is not listening."""
    bus = Bus()
    listeners = bus.listeners_of(SectionTimed)
    assert (list(listeners), bus.is_heard(SectionTimed)) == ([], False)
    bus.subscribe(SectionTimed, print)
    assert list(listeners) == [print]


def test_events_cannot_be_changed() -> None:
    """One listener cannot mislead the next."""
    with pytest.raises(AttributeError):
        SectionTimed("db", "select", 0.1).duration_s = 5  # type: ignore[misc]


def test_a_listener_that_raises_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A broken listener neither stops the emitter nor the listeners after it."""
    bus = Bus()
    heard: list[SectionTimed] = []

    def fail(_: SectionTimed) -> None:
        raise ValueError("broken")

    bus.subscribe(SectionTimed, fail)
    bus.subscribe(SectionTimed, heard.append)
    with caplog.at_level(logging.ERROR):
        bus.emit(SectionTimed("db", "select", 0.1))
    assert len(heard) == 1
    assert caplog.messages == ["A listener of SectionTimed failed"]
