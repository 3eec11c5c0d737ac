"""Flask's signals are sent for operations when and as Flask sends them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from blinker import NamedSignal
from flask import Flask, Response, flash, g, render_template_string, request, signals

SameAsFlask = Callable[..., list[Any]]
NAMES = [
    "template_rendered",
    "before_render_template",
    "request_started",
    "request_finished",
    "request_tearing_down",
    "got_request_exception",
    "appcontext_tearing_down",
    "appcontext_pushed",
    "appcontext_popped",
    "message_flashed",
]


@contextmanager
def heard(app: Flask, log: Any) -> Iterator[None]:
    """Note every signal of *app*, with what it carries."""

    def describe(value: object) -> object:
        return value if isinstance(value, str | None) else type(value).__name__

    with ExitStack() as stack:
        for name in NAMES:
            signal: NamedSignal = getattr(signals, name)

            def hear(sender: Flask, name: str = name, **facts: Any) -> None:
                facts.pop("_async_wrapper", None)
                carried = sorted((key, describe(value)) for key, value in facts.items())
                log(name, sender is app, carried, bool(request) and (request.endpoint, request.view_args))

            stack.enter_context(signal.connected_to(hear, app))
        yield


@pytest.mark.parametrize(
    "path", ["/items/0", "/items/1", "/page", "/stream", "/nowhere"], ids=lambda path: path.strip("/")
)
def test_every_signal_is_sent(log: Any, same_as_flask: SameAsFlask, path: str) -> None:
    """Signals come in Flask's order, from the app, with the same request current, also when the handler fails."""

    def get_item(item_id: int) -> dict[str, int]:
        return {"id": 1 // item_id}

    def get_page() -> str:
        flash("read", "news")
        return render_template_string("{{ request.path }} {{ g.mark }} {{ session }}", mark=1)

    def set_up(app: Flask) -> None:
        app.before_request(lambda: setattr(g, "mark", "m"))

    def drive(app: Flask) -> None:
        with heard(app, log):
            log.answer(app.test_client().get(path))

    seen = same_as_flask(set_up, drive, get_item=get_item, get_page=get_page)
    names = [entry[0] for entry in seen]
    assert names[:2] == ["appcontext_pushed", "request_started"]
    assert ("got_request_exception" in names) == (path == "/items/0")
    assert ("template_rendered" in names) == (path == "/page")


def test_a_receiver_sees_and_changes_the_answer(log: Any, same_as_flask: SameAsFlask) -> None:
    """What request_finished carries is the response that is sent."""

    def drive(app: Flask) -> None:
        def change(_: Flask, response: Response, **__: Any) -> None:
            log(response.status_code, response.get_json())
            response.headers["X-Seen"] = "1"

        with signals.request_finished.connected_to(change, app):
            log.answer(app.test_client().get("/items/5"))

    seen = same_as_flask(lambda _: None, drive)
    assert seen[0] == (200, {"id": 5})
    assert seen[1][2] == [("X-Seen", "1")]


@pytest.mark.parametrize("name", ["request_started", "request_finished"])
def test_a_receiver_raises(log: Any, same_as_flask: SameAsFlask, name: str) -> None:
    """An exception of a receiver is answered, or reaches the server, as Flask has it; the next request is as usual."""

    def drive(app: Flask) -> None:
        def fail(_: Flask, **__: Any) -> None:
            raise KeyError(name)

        client = app.test_client()
        with getattr(signals, name).connected_to(fail, app):
            try:
                log.answer(client.get("/items/5"))
            except (KeyError, LookupError) as error:
                log(type(error).__name__)
        log.answer(client.get("/items/6"))

    seen = same_as_flask(lambda _: None, drive)
    assert seen[-1][0] == 200


def test_receivers_of_all_apps(log: Any, same_as_flask: SameAsFlask) -> None:
    """A receiver that did not ask for one sender hears of operations too."""

    def hear(sender: Flask, **_: Any) -> None:
        log(sender.name, request.path)

    def drive(app: Flask) -> None:
        with signals.request_started.connected_to(hear):
            log.answer(app.test_client().get("/items/5"))

    assert same_as_flask(lambda _: None, drive)[0] == ("shop", "/items/5")
