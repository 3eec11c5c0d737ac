"""The one place where the parts of a service are wired: `create_app`, and `API` with the names of pymacaron 2."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from flask import Flask
from flask_compress import Compress
from flask_cors import CORS

from pymacaron import builtin, docs_ui
from pymacaron.auth import bearer_resolver
from pymacaron.client import ClassicClient
from pymacaron.client.caller import first_server
from pymacaron.codegen import load_models
from pymacaron.config import PymConfig, get_config, load_config, set_config
from pymacaron.crash import fit_reporter
from pymacaron.dispatch import LeanDispatch
from pymacaron.error_response import answer_errors
from pymacaron.exceptions import ConfigError, Finding, HandlerError, SpecError, StartupError
from pymacaron.handlers import HandlerFinder
from pymacaron.log import setup_logging
from pymacaron.pool import apipool
from pymacaron.request_events import watch_requests
from pymacaron.routing import Handlers, bind_api, body_models, keep_encoded_slashes
from pymacaron.server import ServerOptions, find_port, run
from pymacaron.service import ErrorCallback, ErrorReporter, RevocationCheck, SecurityResolver, Service
from pymacaron.spec import load_spec
from pymacaron.tasks import prepare_tasks
from pymacaron.trace_context import Sampler

if TYPE_CHECKING:
    from pymacaron.spec import Api

_DOCUMENT_ENDINGS = (".yaml", ".yml", ".json")
_DEVELOPMENT = frozenset({"dev", "test", "local"})


class API:
    """A service on a Flask app: load documents, then start.

    handlers: module, or modules, in which an operation without x-bind-server finds its function by operationId.
    security_resolvers: security scheme name -> function of (request, scopes); see `pymacaron.auth`. is_token_revoked:
    called with the claims of each good token; true refuses the request.
    error_reporter: called as (title, data, exception) for each error worth hearing of. error_callback: makes the error
    body of an exception. ping_hook: function, or functions, to call on each /ping. json_encoders: type -> function.
    """

    def __init__(  # noqa: PLR0913 - the names of pymacaron 2, all optional
        self,
        app: Flask,
        host: str = "localhost",
        port: int | str | None = None,
        debug: bool = False,  # noqa: FBT001, FBT002 - position kept from pymacaron 2
        log_level: int | str | None = None,
        json_encoders: Mapping[type, Callable[[Any], object]] | None = None,
        error_reporter: ErrorReporter | None = None,
        error_callback: ErrorCallback | None = None,
        default_user_id: str | None = None,
        ping_hook: Callable[[], object] | Sequence[Callable[[], object]] = (),
        *,
        handlers: str | Sequence[str] = (),
        security_resolvers: Mapping[str, SecurityResolver] | None = None,
        is_token_revoked: RevocationCheck | None = None,
        config: PymConfig | None = None,
    ) -> None:
        """Set up *app* as a service; documents come with `load_apis`."""
        self.app = app
        self.host = host
        self.port = port
        self.debug = debug
        self._folder = Path(app.root_path)
        self._modules = (handlers,) if isinstance(handlers, str) else tuple(handlers)
        self._waiting: list[tuple[Api, Mapping[str, type], Handlers]] = []
        config = config or _find_config(self._folder)
        set_config(config)
        if default_user_id:
            config.default_user_id = default_user_id
        mode = config.response_validation or ("enforce" if debug or config.env in _DEVELOPMENT else "observe")
        self.service = Service(
            app=app,
            config=config,
            is_debug=debug,
            response_validation=mode,
            error_callback=error_callback,
            error_reporter=fit_reporter(error_reporter) if error_reporter else None,
            security_resolvers={builtin.TOKEN_SCHEME: bearer_resolver, **(security_resolvers or {})},
            is_token_revoked=app.ensure_sync(is_token_revoked) if is_token_revoked else None,
            json_encoders=dict(json_encoders or {}),
            ping_hooks=[ping_hook] if callable(ping_hook) else list(ping_hook),
            sampler=Sampler(config.otlp_sample_ratio) if config.otlp_endpoint else None,
        )
        app.extensions["pymacaron"] = self.service
        setup_logging(log_level or config.log_level, config.log_format)
        if str(self._folder) not in sys.path:
            sys.path.insert(0, str(self._folder))

    def load_apis(
        self,
        path: str | Path | None = None,
        ignore: Sequence[str] = (),
        only_models: Sequence[str] = (),
        force: bool = False,  # noqa: FBT001, FBT002 - position kept from pymacaron 2
        global_names: bool = False,  # noqa: FBT001, FBT002 - position kept from pymacaron 2
    ) -> API:
        """Load every document under *path*, the folder ``apis`` beside the configuration by default.

        ignore: names of documents to leave out. only_models: names whose operations are not served. force: write models
        even where they are up to date. global_names: refuse models of one name with different schemas.
        Raises: SpecError: with the findings of all documents.
        """
        folder = self._resolve(path) if path else self.service.config.apis_path
        if not folder.is_dir():
            raise SpecError(
                Finding(str(folder), "there is no such folder", "Put the service's OpenAPI documents there")
            )
        files = [
            file for file in sorted(folder.rglob("*")) if file.suffix in _DOCUMENT_ENDINGS and file.name[0] not in ".#"
        ]
        files = [file for file in files if file.stem not in {*ignore, "pym-config"}]
        if not files:
            raise SpecError(Finding(str(folder), "there is no document in it", "Write apis/<name>.yaml"))
        findings: list[Finding] = []
        for file in files:
            try:
                self._load(file, is_served=file.stem not in only_models, force=force)
            except StartupError as error:
                findings += error.findings
        if findings:
            raise SpecError(findings)
        if global_names:
            apipool.enforce_global_model_names()
        return self

    def load_clients(self, path: str | Path | None = None, apis: Sequence[str] = ()) -> API:
        """Load the documents named in *apis* from folder *path*, without serving them: their models and a client.

        ``apipool.<api>.client.<operation>(…)`` calls the document's first server; see `ClassicClient`. Its path counts
        only with ``use_base_path``, as for the service's own documents.
        """
        if not path or not apis:
            raise ConfigError(
                Finding("load_clients", "path or apis is empty", "Name the folder and the documents to load")
            )
        for name in apis:
            self._load(self._resolve(path) / f"{name}.yaml", is_served=False)
            api = self.service.apis[name]
            if first_server(api):
                apipool.get_model(name).set_client(ClassicClient(api, base_url=self._find_host(api)))
        return self

    def _find_host(self, api: Api) -> str | None:
        """Return the address of *api*'s first server without its path, None for the whole of it."""
        url = urlsplit(first_server(api))
        return None if self.service.config.use_base_path or not url.netloc else f"{url.scheme}://{url.netloc}"

    def load_builtin_apis(self, names: Sequence[str] = ("ping",)) -> API:
        """Load the built-in documents *names*, ``ping`` and ``crash``; a document of the service goes first."""
        for name in names:
            if name not in self.service.apis:
                self._load(
                    builtin.BUILTIN_FOLDER / f"{name}.yaml", is_served=True, modules=(f"pymacaron.builtin.{name}",)
                )
        return self

    def add_api(self, api: Api, models: Mapping[str, type], handlers: Handlers | None) -> API:
        """Add a document that is loaded already; without *handlers* only its models, class name -> class."""
        apipool.add_api(api, models)
        self.service.apis[api.name] = api
        if handlers is not None:
            self._waiting.append((api, models, handlers))
        return self

    def publish_apis(self, path: str = "doc", toc: str | None = None) -> API:  # noqa: ARG002 - toc kept from pymacaron 2
        """Serve the API reference at ``/<path>`` and the documents below it; done for /doc at start if not before."""
        if "pymacaron-doc" not in self.app.extensions:
            self.app.extensions["pymacaron-doc"] = path
            docs_ui.publish(self.app, path)
        return self

    def start(self) -> Flask:
        """Bind every operation, attach the observers, and serve if the app's module runs as a script.

        Raises: StartupError: with all findings.
        """
        self.load_builtin_apis(("ping", "tasks") if self.service.config.task_status else ("ping",))
        self.app.url_map.merge_slashes = False
        self.app.secret_key = self.app.secret_key or secrets.token_bytes(24)
        if self.app.config["MAX_CONTENT_LENGTH"] is None:
            self.app.config["MAX_CONTENT_LENGTH"] = self.service.config.max_body_bytes
        is_bare = "wsgi_app" not in vars(self.app)  # middleware that is there already must see every request
        keep_encoded_slashes(self.app)
        watch = watch_requests(self.service)
        answer_errors(self.service)
        findings: list[Finding] = []
        for api, models, handlers in self._waiting:
            findings += bind_api(self.service, api, models, handlers)
        if findings:
            raise HandlerError(findings)
        self._waiting.clear()
        prepare_tasks(self.service)
        self.publish_apis()
        compress = self._add_extensions()
        for observer in sorted(entry_points(group="pymacaron.observers"), key=lambda entry: entry.name):
            observer.load()(self.app)
        if is_bare:
            self.app.wsgi_app = LeanDispatch(self.app, watch, self.app.wsgi_app, compress)  # type: ignore[method-assign]
        if self.app.import_name == "__main__":
            self._serve()
        return self.app

    def _load(self, file: Path, *, is_served: bool, force: bool = False, modules: tuple[str, ...] = ()) -> None:
        api = load_spec(file, remote_ref_hosts=self.service.config.remote_ref_hosts)
        known = self.service.apis.get(api.name)
        if known is not None and known.source != api.source:
            raise SpecError(Finding(api.source, f"{known.source} has the same name", "Rename one of the files"))
        models_file = file.with_name(f"{api.name}_models.py")
        if force:
            models_file.unlink(missing_ok=True)
        is_development = self.debug or self.service.config.env in _DEVELOPMENT
        may_write = is_development or not models_file.exists()
        models = load_models(api, models_file, may_write=may_write)
        finder = HandlerFinder(api, modules or self._modules, body_models(api, models))
        self.add_api(api, models, finder if is_served else None)

    def _resolve(self, path: str | Path) -> Path:
        """Return *path*, relative ones looked up in the working folder first, then beside the app."""
        given = Path(path)
        return given if given.is_absolute() or given.exists() else self._folder / given

    def _add_extensions(self) -> Compress | None:
        config = self.service.config
        compress = Compress(self.app) if config.compress else None
        if config.cors_origins:
            CORS(self.app, origins=config.cors_origins, expose_headers=["X-Request-Id"])
        return compress

    def _serve(self) -> None:
        script = Path(sys.modules["__main__"].__file__ or "server.py").resolve()
        options = ServerOptions(
            folder=script.parent,
            target=f"{script.stem}:{self._variable_name()}",
            host="0.0.0.0" if self.host == "localhost" else self.host,  # noqa: S104 - what pymacaron 2 did, for containers
            port=int(self.port or find_port()),
            workers=self.service.config.worker_count or 1,  # it had one when `python server.py` was Flask's own server
            is_debug=self.debug,
            config=self.service.config,
        )
        raise SystemExit(run(options))

    def _variable_name(self) -> str:
        module = vars(sys.modules["__main__"])
        return next((name for name, value in module.items() if value is self.app), "app")


def create_app(
    import_name: str,
    *,
    apis: str | Path | None = None,
    handlers: str | Sequence[str] = (),
    config: PymConfig | None = None,
    debug: bool | None = None,
    **options: Any,
) -> Flask:
    """Return a Flask app that serves every document under *apis*.

    import_name: ``__name__`` of the calling module; its folder is the service's. apis: folder of documents, by default
    ``apis`` in the service's folder. debug: by default what the environment variable PYM_DEBUG says.
    options: as for `API`: error_reporter, error_callback, ping_hook, security_resolvers, is_token_revoked …
    Raises: StartupError: with every finding in documents, configuration and handlers.
    """
    app = Flask(import_name)
    is_debug = _is_debug_environment() if debug is None else debug
    api = API(app, debug=is_debug, handlers=handlers, config=config, **options)
    api.load_apis(apis)
    return api.start()


def letsgo(name: str, callback: Callable[..., object]) -> None:
    """Start a service in pymacaron 2's way; the last line of its server.py: ``letsgo(__name__, callback=start)``.

    Run as a script, it takes ``--port``, ``--env`` and ``--debug`` from the command line; imported by a WSGI server as
    ``server:app`` it only builds the app. Either way it calls ``callback(port, debug)``.
    """
    if name != "__main__":
        _choose_config(name)
        callback(find_port(), _is_debug_environment())
        return

    @click.command()
    @click.option("--port", type=int, default=None, help="Port to listen on. Default: $PORT, $PYM_SERVER_PORT or 80.")
    @click.option("--env", default=None, help="Environment, as if set by PYM_ENV.")
    @click.option("--debug/--no-debug", default=False, help="Show the texts of errors to callers; write stale models.")
    def main(port: int | None, env: str | None, debug: bool) -> None:  # noqa: FBT001 - click passes it by keyword
        if env:
            os.environ["PYM_ENV"] = env
        if debug:
            os.environ["PYM_DEBUG"] = "1"
        try:
            _choose_config(name)
            callback(port or find_port(), debug)
        except StartupError as error:
            click.echo(f"{error}", err=True)
            sys.exit(2)

    main()


def _choose_config(name: str) -> None:
    """Load the configuration beside module *name*, for callbacks that read it before they call `API`."""
    file = sys.modules[name].__file__
    if not get_config().is_chosen:
        get_config().load_pym_config(path=Path(file).resolve().parent if file else None)


def _find_config(folder: Path) -> PymConfig:
    """Return the configuration of the service in *folder*; one that was loaded by hand before goes first."""
    loaded = get_config()
    return loaded if loaded.is_chosen else load_config(folder)


def _is_debug_environment() -> bool:
    return os.environ.get("PYM_DEBUG", "").lower() in {"1", "true", "yes"}
