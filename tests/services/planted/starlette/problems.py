"""Errors as the document promises them: `{"error": {"code", "message", "fields"}}`."""

import logging

from planted import planted
from starlette.responses import JSONResponse, PlainTextResponse

_CODES = {404: "not_found", 405: "method_not_allowed"}


class Problem(Exception):
    """An answer that is an error."""

    def __init__(self, status, code, message, fields=()):
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = list(fields)


def not_found(what):
    return Problem(404, "not_found", f"There is no such {what}.")


def render(status, code, message, fields=(), headers=None):
    body = {"code": code, "message": message, "fields": list(fields)}
    if status == 412 and planted("precondition_error_without_code"):
        body = {"message": message}
    return JSONResponse({"error": body}, status, headers)


async def answer_problem(_request, problem):
    if problem.status == 404 and problem.message.endswith("task.") and planted("task_not_found_is_text"):
        return PlainTextResponse("Not Found", 404)
    headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None
    return render(problem.status, problem.code, problem.message, problem.fields, headers)


async def answer_http(_request, error):
    headers = dict(error.headers or {})
    if error.status_code == 405 and planted("allow_missing"):
        headers.pop("Allow", None)
    code = _CODES.get(error.status_code, "bad_request")
    return render(error.status_code, code, error.detail, headers=headers)


async def answer_crash(_request, error):
    logging.getLogger("workbench").error("crash", exc_info=error)
    return render(500, "internal", "Something went wrong.")
