"""The copy of a release that is tested here before it goes anywhere: its secrets, its profile, its container."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pymacaron.config import PymConfig
from pymacaron.deploy import engine
from pymacaron.deploy.target import PORT
from pymacaron.exceptions import ConfigError, Finding

PREFIX = "LOCAL_"


@dataclass(frozen=True, slots=True)
class LocalSecrets:
    """Where the copy's secrets come from. given: name -> value. real: those of the release itself. missing: names."""

    given: Mapping[str, str]
    real: tuple[str, ...]
    missing: tuple[str, ...]


def find_local_secrets(config: PymConfig, environment: Mapping[str, str] | None = None) -> LocalSecrets:
    """Return the secrets of the copy: ``LOCAL_X`` goes before ``X``. environment: this process's by default."""
    told = os.environ if environment is None else environment
    own = {name: told[PREFIX + name] for name in config.env_secrets if told.get(PREFIX + name)}
    real = {name: told[name] for name in config.env_secrets if name not in own and told.get(name)}
    missing = tuple(name for name in config.env_secrets if name not in own and name not in real)
    return LocalSecrets({**real, **own}, tuple(real), missing)


def choose_local_profile(config: PymConfig, environment: Mapping[str, str] | None = None) -> str:
    """Return the profile of the copy's tests: `deploy_local_profile`, by default one that does no harm.

    A copy with a secret of the release itself may have its database too: there its tests do no more than those on the
    target, unless the configuration says so.
    """
    is_chosen = "deploy_local_profile" in config.model_fields_set
    is_apart = not find_local_secrets(config, environment).real
    return config.deploy_local_profile if is_chosen or is_apart else config.deploy_profile


def describe_copy(config: PymConfig, environment: Mapping[str, str] | None = None) -> str:
    """Return how the copy is tested, as a plan says it: its profile, and what is worth knowing of its secrets."""
    secrets = find_local_secrets(config, environment)
    told = [f"profile {choose_local_profile(config, environment)}"]
    if secrets.real:
        told.append(f"it gets {', '.join(secrets.real)} of the release itself")
    if secrets.missing:
        told.append(f"it needs {', '.join(PREFIX + name for name in secrets.missing)}")
    return "; ".join(told)


@contextlib.contextmanager
def run_locally(config: PymConfig, version: str, image: str) -> Iterator[tuple[str, str]]:
    """Run *image* as a container for as long as the block, and give its URL and name.

    Raises: ConfigError: a secret is missing. PlacementError: it does not come up.
    """
    secrets = find_local_secrets(config)
    if secrets.missing:
        raise ConfigError(
            [
                Finding("env_secrets", f"the copy here needs {name}", f"Set {PREFIX}{name} to a value for tests")
                for name in secrets.missing
            ]
        )
    name = f"pym-{config.name}-{version}-local"
    environment = {"PORT": str(PORT), **({"PYM_ENV": config.env} if config.env else {}), **secrets.given}
    engine.remove_container(name)
    try:
        container = engine.run_container(name, image, labels={"pymacaron.local": config.name}, environment=environment)
        engine.wait_until_ready(container, config.deploy_start_time)
        yield container.url, name
    finally:
        engine.remove_container(name)
