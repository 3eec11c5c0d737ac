"""Every model of every loaded api, by name: ``apipool.pets.Pet``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pymacaron.codegen import load_models, write_models
from pymacaron.config import get_config
from pymacaron.exceptions import Finding, SpecError
from pymacaron.json_types import Json
from pymacaron.log import pymlogger
from pymacaron.model import diff_models
from pymacaron.spec import Api, load_spec

log = pymlogger(__name__)


class modelpool:  # noqa: N801 - the name of pymacaron 2
    """The models of one api, as attributes."""

    def __init__(self, name: str) -> None:
        """Start without models."""
        self.api_name = name
        self._models: dict[str, type] = {}
        self._client: Any = None

    @property
    def client(self) -> Any:
        """Return what calls the api's operations. Raises AttributeError: there is none."""
        if self._client is None:
            raise AttributeError(
                f"Api {self.api_name} has no client; load it with API.load_clients, and name its server in the document"
            )
        return self._client

    def set_client(self, client: object) -> None:
        """Make *client* what calls the api's operations."""
        self._client = client

    def add_model(self, model_name: str, model_class: type) -> None:
        """Make *model_class* readable as the attribute *model_name*; it replaces one of the same name."""
        self._models[model_name] = model_class

    def get_model_names(self) -> list[str]:
        """Return the names of all models, in the document's order."""
        return list(self._models)

    def json_to_model(
        self,
        model_name: str,
        j: Json,
        keep_datetime: bool | None = None,  # noqa: ARG002, FBT001 - position kept from pymacaron 2, without effect there
        prune_none: bool = True,  # noqa: FBT001, FBT002 - position kept from pymacaron 2
    ) -> Any:
        """Return the instance of the model *model_name* that *j* describes; prune_none: null means absent.

        Raises: AttributeError: there is no such model. pydantic.ValidationError: *j* breaks the document.
        """
        return getattr(self, model_name).from_json(j, prune_none=prune_none)

    def __getattr__(self, model_name: str) -> Any:
        """Return the model of that name. Raises AttributeError with the names that exist."""
        models = self.__dict__.get("_models", {})
        if model_name in models:
            return models[model_name]
        known = ", ".join(sorted(models))
        raise AttributeError(f"Api {self.__dict__.get('api_name')} has no model {model_name}; it has {known}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._models]

    def __repr__(self) -> str:
        return f"<models of api {self.api_name}>"


class ApiPool:
    """The models of all apis of this process; there is one instance, `apipool`."""

    def __init__(self) -> None:
        """Start without apis."""
        self._pools: dict[str, modelpool] = {}

    def add_api(self, api: Api, models: Mapping[str, type]) -> modelpool:
        """Register the *models* of a document, class name -> class; they replace those of an api of the same name."""
        pool = modelpool(api.name)
        for name, model in models.items():
            pool.add_model(name, model)
        self._pools[api.name] = pool
        return pool

    def add_model(self, api_name: str, model_name: str, model_class: type) -> None:
        """Register one class; the api comes into being with its first one."""
        self._pools.setdefault(api_name, modelpool(api_name)).add_model(model_name, model_class)

    def get_model(self, api_name: str) -> modelpool:
        """Return the models of one api. Raises AttributeError with the names of the apis that are loaded."""
        if api_name not in self._pools:
            known = ", ".join(self.get_api_names()) or "none"
            raise AttributeError(f"Api {api_name} is not loaded; loaded are {known}")
        return self._pools[api_name]

    def get_api_names(self) -> list[str]:
        """Return the names of the loaded apis, sorted."""
        return sorted(self._pools)

    def load_swagger(
        self,
        api_name: str,
        api_path: str | Path,
        dest_dir: str | Path | None = None,
        create_endpoints: bool = False,  # noqa: FBT001, FBT002 - position kept from pymacaron 2
        force: bool = False,  # noqa: FBT001, FBT002 - position kept from pymacaron 2
        model_file: str | Path | None = None,
        app_file: str | Path | None = None,
    ) -> modelpool:
        """Load a document, write its models where they are missing or stale, and register them as *api_name*.

        dest_dir: folder of ``<api_name>_models.py``, the document's by default. model_file: its path instead.
        force: write it even if it is up to date.
        Raises: SpecError: the document is broken. ValueError: create_endpoints or app_file is given.
        """
        if create_endpoints or app_file is not None:
            raise ValueError("apipool.load_swagger only loads models. Serve documents with API.load_apis")
        api = load_spec(api_path, name=api_name, remote_ref_hosts=get_config().remote_ref_hosts)
        folder = Path(dest_dir) if dest_dir else Path(api_path).parent
        target = Path(model_file) if model_file else folder / f"{api_name}_models.py"
        if force:
            write_models(api, target)
        return self.add_api(api, load_models(api, target, may_write=True))

    def enforce_global_model_names(self) -> None:
        """Demand that models of one name have one schema in all apis. Raises SpecError with each difference."""
        owners: dict[str, list[tuple[str, type[BaseModel]]]] = {}
        for api_name in self.get_api_names():
            for model_name in self._pools[api_name].get_model_names():
                owners.setdefault(model_name, []).append((api_name, getattr(self._pools[api_name], model_name)))
        findings = []
        for model_name, ((first_api, first), *others) in sorted(owners.items()):
            for api_name, model in others:
                difference = diff_models(first, model)
                if difference:
                    log.error("%s", difference)
                    where = f"{first_api}.{model_name} and {api_name}.{model_name}"
                    findings.append(
                        Finding(
                            where, f"models of one name have different schemas:\n{difference}\n", "Rename one of them"
                        )
                    )
        if findings:
            raise SpecError(findings)

    def __getattr__(self, api_name: str) -> modelpool:
        """Return the models of one api. Raises AttributeError with the names of the apis that are loaded."""
        if api_name.startswith("__"):
            raise AttributeError(api_name)
        return self.get_model(api_name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._pools]


apipool = ApiPool()
