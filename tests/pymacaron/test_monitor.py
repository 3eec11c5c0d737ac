"""Blocks of handlers are timed."""

from __future__ import annotations

import time

import pytest
from flask import Flask

from pymacaron.config import PymConfig
from pymacaron.events import SectionTimed
from pymacaron.log import restored_context
from pymacaron.monitor import monitor
from pymacaron.service import Service
from pymacaron.trace_context import Sampler


@pytest.fixture
def service() -> Service:
    """Build a service that does nothing."""
    app = Flask("pets")
    app.extensions["pymacaron"] = service = Service(app, PymConfig())
    return service


def test_a_block_is_timed(service: Service) -> None:
    """The event carries kind, method and seconds."""
    heard: list[SectionTimed] = []
    service.bus.subscribe(SectionTimed, heard.append)
    with service.app.app_context(), monitor(kind="sql", method="load_pet"):
        time.sleep(0.02)
    (event,) = heard
    assert (event.kind, event.method) == ("sql", "load_pet")
    assert 0.02 <= event.duration_s < 5


def test_a_failing_block_is_timed(service: Service) -> None:
    """A block that ends by an exception is timed, and the exception passes."""
    heard: list[SectionTimed] = []
    service.bus.subscribe(SectionTimed, heard.append)
    with service.app.app_context(), pytest.raises(KeyError), monitor():
        raise KeyError
    assert [(event.kind, event.method) for event in heard] == [("Unknown", "Unknown")]


def test_a_function_is_timed(service: Service) -> None:
    """It decorates functions too, and works outside of a service."""
    heard: list[SectionTimed] = []
    service.bus.subscribe(SectionTimed, heard.append)

    @monitor(kind="mail", method="send")
    def send() -> str:
        return "sent"

    assert send() == "sent"
    with service.app.app_context():
        assert send() == send() == "sent"
    assert len(heard) == 2


def test_a_block_is_a_span(service: Service) -> None:
    """Where the request is recorded the block is a part of it; elsewhere there is none."""
    heard: list[SectionTimed] = []
    service.bus.subscribe(SectionTimed, heard.append)
    with service.app.app_context():
        with restored_context({}, Sampler()) as context, monitor() as span:
            assert span is not None
        with restored_context({}, Sampler(0)), monitor() as nothing:
            assert nothing is None
        fault = KeyError()
        with pytest.raises(KeyError), monitor():
            raise fault
    assert context.trace is not None
    assert (span.trace_id, span.parent_id) == (context.trace.trace_id, context.trace.span_id)
    assert [(event.span, event.exception) for event in heard] == [(span, None), (None, None), (None, fault)]
