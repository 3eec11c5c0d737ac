"""Errors as the document promises them: a JSON object with code and message."""

import logging

from flask import Flask, jsonify
from planted import planted
from werkzeug.exceptions import HTTPException

_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}


class Problem(Exception):
    """An answer that is an error."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def not_found():
    return Problem(404, "not_found", "There is no such thing.")


def init_app(app: Flask) -> None:
    @app.errorhandler(Problem)
    def answer_problem(problem):
        body = {"code": problem.code, "message": problem.message}
        if problem.status == 409 and planted("conflict_without_code"):
            del body["code"]
        response = jsonify(body)
        response.status_code = problem.status
        if problem.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @app.errorhandler(HTTPException)
    def answer_http(error):
        response = jsonify(code=_CODES.get(error.code, "bad_request"), message=error.description or error.name)
        response.status_code = error.code
        allow = dict(error.get_headers()).get("Allow")
        if allow and not planted("allow_missing"):
            response.headers["Allow"] = allow
        return response

    @app.errorhandler(Exception)
    def answer_crash(error):
        logging.getLogger("expenses").error("crash", exc_info=error)
        return jsonify(code="internal", message="Something went wrong."), 500
