"""A service that fails in every request, and tells all it knows in its exceptions."""

from __future__ import annotations

import requests
from flask import request

from pymacaron import create_app, get_config, report_error, report_warning


def open_account(body, **parameters):
    config = get_config()
    password = body.password  # a local variable of the frame that fails
    report_warning(
        f"Account with {password}", data={"account": body, "raw": body.to_json(), "depth": [{"api_key": "K-data-1"}]}
    )
    try:
        raise KeyError(request.url, repr(body), str(parameters), request.headers["Cookie"])
    except KeyError as error:
        error.add_note(f"sql: INSERT INTO a VALUES ('{password}') on {config.database}")
        raise RuntimeError(f"cannot open {body.to_json()} with {config.mail_password}") from error


def reset(code):
    try:
        requests.get(f"http://user:K-url-1@127.0.0.1:9/reset?api_key=K-url-2&code={code}", timeout=1)
    except requests.ConnectionError as error:
        report_error(
            "Mail service",
            {"headers": dict(request.headers), "url": f"https://x.test/?token=K-url-3&code={code}"},
            error,
        )
    raise ValueError(f"wrong code {code}: {dict(request.headers)}")


def log_in(user, phrase):
    raise LookupError(f"no user {user} who says {phrase}; {request.headers}")


def note(body):
    raise OSError(f"disk is full, cannot keep {body} of {request.cookies}")


def list_orders(page=1):
    if page == 2:
        report_warning("Page two", {"page": page})
        return [1]
    return [1 // (page - 3)]


def transfer(causes=0):
    if causes:
        _follow(causes)
    failures = []
    for number in (1, 2):
        try:
            _refuse(f"K-group-{number}")
        except ValueError as error:
            failures.append(error)
    raise ExceptionGroup("transfers", [failures[0], ExceptionGroup("others", [failures[1]])])


def _refuse(access_token):
    raise ValueError(f"bank refuses {access_token}")


def _follow(causes):
    try:
        _follow(causes - 1) if causes else _refuse("K-chain-1")
    except ValueError as error:
        raise ValueError(f"after {causes}") from error


def check_basic(request, scopes):
    return request.authorization.username if request.authorization else None


def check_key(request, scopes):
    return "somebody"


app = create_app(
    __name__,
    handlers=__name__,
    security_resolvers={"basic": check_basic, "key": check_key, "header": check_key, "cookie": check_key},
)
