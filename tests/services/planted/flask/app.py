"""A service for expenses, in plain Flask: python app.py, with the port in the variable PORT."""

import os

import account
import errors
import expenses
import projects
import tags
from flask import Flask, jsonify, request
from planted import planted
from werkzeug.serving import WSGIRequestHandler, make_server

PREFIX = "/api/v1"


def create_app():
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1_000_000
    app.url_map.merge_slashes = False
    app.url_map.converters.update(expense=expenses.ExpenseId, int=expenses.Number)
    errors.init_app(app)
    for module in (account, projects, expenses, tags):
        app.register_blueprint(module.blueprint, url_prefix=PREFIX)

    @app.get(f"{PREFIX}/health")
    def health():
        return jsonify(status="ok")

    @app.after_request
    def allow_other_origins(response):
        response.headers["Access-Control-Allow-Origin"] = "*"
        if request.method == "OPTIONS" and not (
            planted("preflight_refused") and request.path.startswith(f"{PREFIX}/tags")
        ):
            response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-Match, Idempotency-Key"
            response.headers["Access-Control-Max-Age"] = "600"
        return response

    return app


class _Handler(WSGIRequestHandler):
    """Keeps connections open and writes no line per request."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code="-", size="-"):
        pass


if __name__ == "__main__":
    make_server(
        "127.0.0.1", int(os.environ["PORT"]), create_app(), threaded=True, request_handler=_Handler
    ).serve_forever()
