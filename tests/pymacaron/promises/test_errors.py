"""Error handlers, and the settings that rule them, work for operations as for Flask's views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, abort, make_response, redirect, request, signals
from werkzeug.exceptions import Conflict, HTTPException, InternalServerError, NotFound
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Response

SameAsFlask = Callable[..., list[Any]]


class ShopError(Exception):
    """An error of the service."""


class SoldOutError(ShopError):
    """A kind of it."""


def fail_as(errors: list[Any]) -> Callable[[int], dict[str, int]]:
    """Return a handler that raises, or aborts with, the item of *errors* at its number."""

    def get_item(item_id: int) -> dict[str, int]:
        error = errors[item_id]
        if isinstance(error, BaseException):
            raise error
        abort(error)

    return get_item


def get_all(app: Flask, log: Any, number: int) -> None:
    """Call ``/items/<n>`` for each n below *number*; note what is raised."""
    client = app.test_client()
    for item_id in range(number):
        try:
            log.answer(client.get(f"/items/{item_id}"))
        except Exception as error:  # noqa: BLE001 - it is compared
            log("raised", repr(error))


def answer_with(log: Any, name: str) -> Callable[[Exception], tuple[str, int]]:
    """Return an error handler that is known by *name*."""

    def handle(error: Exception) -> tuple[str, int]:
        log(name, type(error).__name__, type(getattr(error, "original_exception", None)).__name__, request.endpoint)
        return name, 418

    return handle


ERRORS = [
    ShopError("a"),
    SoldOutError("b"),
    KeyError("c"),
    404,
    409,
    500,
    NotFound("d"),
    Conflict("e"),
    ZeroDivisionError(),
]


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param([ShopError], id="class"),
        pytest.param([SoldOutError, ShopError], id="subclass-first"),
        pytest.param([404, 500], id="codes"),
        pytest.param([NotFound, HTTPException, LookupError], id="http-classes"),
        pytest.param([InternalServerError], id="500-class"),
        pytest.param([500, ZeroDivisionError], id="500-and-class"),
    ],
)
@pytest.mark.parametrize("owner", ["app", "blueprint"])
def test_the_same_handler_is_chosen(
    log: Any, same_as_flask: SameAsFlask, keys: list[type[Exception] | int], owner: str
) -> None:
    """The handler of the nearest class or code answers, and an app-wide one of a blueprint too."""

    def set_up(app: Flask) -> None:
        blueprint = Blueprint("other", "other")
        for key in keys:
            handler = answer_with(log, str(key))
            if owner == "app":
                app.register_error_handler(key, handler)
            else:
                blueprint.app_errorhandler(key)(handler)
        blueprint.errorhandler(KeyError)(answer_with(log, "of the blueprint alone"))
        app.register_blueprint(blueprint)

    def drive(app: Flask) -> None:
        get_all(app, log, len(ERRORS))
        log.answer(app.test_client().get("/nowhere"))

    seen = same_as_flask(set_up, drive, get_item=fail_as(ERRORS))
    assert 418 in {entry[0] for entry in seen}
    assert "of the blueprint alone" not in {entry[0] for entry in seen}


def test_a_handler_of_everything_gets_everything(log: Any, same_as_flask: SameAsFlask) -> None:
    """A service's own handler of Exception, registered after start, goes before the one that writes error bodies."""

    def set_up(app: Flask) -> None:
        app.register_error_handler(Exception, answer_with(log, "all"))

    def drive(app: Flask) -> None:
        set_up(
            app
        )  # the service that is set up before has pymacaron's by now, which is Flask's own way: the last one wins
        get_all(app, log, len(ERRORS))

    seen = same_as_flask(lambda _: None, drive, get_item=fail_as(ERRORS))
    assert len(seen) == 2 * len(ERRORS)


def test_an_error_handler_raises(log: Any, same_as_flask: SameAsFlask) -> None:
    """An exception of an error handler goes to the handler of 500, and so to the signal."""

    def fail(error: Exception) -> Any:
        log("handler", type(error).__name__)
        raise ZeroDivisionError

    def set_up(app: Flask) -> None:
        app.register_error_handler(ShopError, fail)
        app.register_error_handler(500, answer_with(log, "500"))
        app.teardown_request(lambda error: log("teardown", type(error).__name__))
        app.after_request(lambda response: (log("after", response.status_code), response)[1])

    def drive(app: Flask) -> None:
        def hear(_: Flask, exception: Exception, **__: Any) -> None:
            log("signal", type(exception).__name__)

        with signals.got_request_exception.connected_to(hear, app):
            get_all(app, log, 2)

    seen = same_as_flask(set_up, drive, get_item=fail_as(ERRORS))
    assert seen.count(("signal", "ZeroDivisionError")) == 2


def test_answers_that_are_raised(log: Any, same_as_flask: SameAsFlask) -> None:
    """``abort`` with a response and redirects are answers as they stand."""

    def get_item(item_id: int) -> Any:
        if item_id == 0:
            abort(make_response("own", 409, {"X-Own": "1"}))
        if item_id == 1:
            abort(redirect("/elsewhere", 307))
        if item_id == 2:
            raise RequestRedirect("/elsewhere")
        abort(405, valid_methods=["PUT"])

    seen = same_as_flask(lambda _: None, lambda app: get_all(app, log, 4), get_item=get_item)
    assert [entry[0] for entry in seen] == [409, 307, 308, 405]


@pytest.mark.parametrize("propagates", [True, False])
@pytest.mark.parametrize("setting", ["TESTING", "DEBUG", None])
def test_propagate_exceptions(log: Any, same_as_flask: SameAsFlask, propagates: bool, setting: str | None) -> None:
    """PROPAGATE_EXCEPTIONS decides whether an unexpected exception reaches the server; others never do."""

    def set_up(app: Flask) -> None:
        app.config["PROPAGATE_EXCEPTIONS"] = propagates
        if setting:
            app.config[setting] = True
        app.teardown_request(lambda error: log("teardown", repr(error)))

    seen = same_as_flask(set_up, lambda app: get_all(app, log, len(ERRORS)), get_item=fail_as(ERRORS))
    assert (("raised", "KeyError('c')") in seen) == propagates


@pytest.mark.parametrize("setting", ["TRAP_HTTP_EXCEPTIONS", "TRAP_BAD_REQUEST_ERRORS"])
def test_traps(log: Any, same_as_flask: SameAsFlask, setting: str) -> None:
    """Settings that trap HTTP exceptions make them unexpected ones."""

    def get_item(item_id: int) -> dict[str, int]:
        return {"id": int(request.form["nothing"])} if item_id else abort(409)

    def set_up(app: Flask) -> None:
        app.config[setting] = True
        app.config["PROPAGATE_EXCEPTIONS"] = True

    seen = same_as_flask(set_up, lambda app: get_all(app, log, 2), get_item=get_item)
    assert "raised" in {entry[0] for entry in seen}


def test_base_exceptions_pass(log: Any, same_as_flask: SameAsFlask) -> None:
    """What is no Exception reaches the server; teardown functions run before."""

    def get_item(item_id: int) -> None:
        raise KeyboardInterrupt(item_id)

    def drive(app: Flask) -> None:
        with pytest.raises(KeyboardInterrupt):
            app.test_client().get("/items/1")
        log(bool(request))

    def set_up(app: Flask) -> None:
        app.teardown_request(lambda error: log("teardown", type(error).__name__))

    assert same_as_flask(set_up, drive, get_item=get_item) == [("teardown", "KeyboardInterrupt"), False]


def test_errors_to_ignore(log: Any, same_as_flask: SameAsFlask) -> None:
    """``should_ignore_error`` keeps an exception from the teardown functions."""

    class OwnFlask(Flask):
        def should_ignore_error(self, error: BaseException | None) -> bool:
            log("asked", type(error).__name__)
            return isinstance(error, ShopError)

    def set_up(app: Flask) -> None:
        app.teardown_request(lambda error: log("teardown", type(error).__name__))

    seen = same_as_flask(set_up, lambda app: get_all(app, log, 3), make_app=OwnFlask, get_item=fail_as(ERRORS))
    assert ("teardown", "NoneType") in seen
    assert ("teardown", "KeyError") in seen


def test_late_errors_of_hooks_are_answered(log: Any, same_as_flask: SameAsFlask) -> None:
    """An after_request function that fails leads to a 500, also if it aborts with another status."""

    def fail(response: Response) -> Response:
        abort(409) if request.args else log("fine")
        return response

    def drive(app: Flask) -> None:
        log.answer(app.test_client().get("/items/5"))
        log.answer(app.test_client().get("/items/5?fail=1"))

    seen = same_as_flask(lambda app: app.after_request(fail), drive)
    assert [entry[0] for entry in seen if len(entry) == 4 and isinstance(entry, tuple)] == [200, 500]
