"""pym-config.yaml and the environment become one checked configuration."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from pydantic import SecretStr, ValidationError

from pymacaron.config import PymConfig, get_config, load_config, set_config
from pymacaron.exceptions import ConfigError
from pymacaron.service import Service

GOOD = {
    "name": "pets",
    "live_url": "https://pets.example.com/v1",
    "jwt_secret": "JWT_SECRET",
    "jwt_issuer": "pets.example.com",
    "jwt_audience": "pets",
    "my_api_key": "MY_API_KEY",
    "database": "{user: pets, password: DB_PASSWORD, hosts: [a, b]}",
    "env_secrets": "[JWT_SECRET, MY_API_KEY, DB_PASSWORD]",
}
SECRETS = {"JWT_SECRET": "jwt-s3cret-value", "MY_API_KEY": "api-s3cret-value", "DB_PASSWORD": "db-s3cret-value"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give each test the secrets, a working folder and a process without configuration."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYM_ENV", raising=False)
    monkeypatch.chdir(tmp_path)
    set_config(None)
    yield
    set_config(None)


def write(folder: Path, name: str = "pym-config.yaml", /, **changes: str | None) -> Path:
    """Write the good configuration with *changes*; None leaves a key out."""
    lines = [f"{key}: {value}\n" for key, value in {**GOOD, **changes}.items() if value is not None]
    file = folder / name
    file.write_text("".join(lines))
    return file


def refusal(folder: Path) -> str:
    """Return what `load_config` says of the file in *folder*."""
    with pytest.raises(ConfigError) as caught:
        load_config(folder)
    return str(caught.value)


def test_a_whole_configuration(tmp_path: Path) -> None:
    """Known keys are typed, secrets come from the environment, own keys keep their form."""
    write(tmp_path)
    config = load_config(tmp_path)
    assert config.name == "pets"
    assert config.live_host == "pets.example.com"
    assert config.jwt_secret == SecretStr(SECRETS["JWT_SECRET"])
    assert config.my_api_key == SECRETS["MY_API_KEY"]
    assert config.database == {"user": "pets", "password": SECRETS["DB_PASSWORD"], "hosts": ["a", "b"]}
    assert config.folder == tmp_path
    assert config.config_path == tmp_path / "pym-config.yaml"
    assert config.apis_path == tmp_path / "apis"


def test_no_file(tmp_path: Path) -> None:
    """A folder without pym-config.yaml gives the defaults, named after the folder."""
    config = load_config(tmp_path)
    assert config.name == tmp_path.name
    assert config.config_path is None
    assert config.jwt_secret is None
    assert config.jwt_algorithms == ["HS256"]
    assert config.validation_status == 400
    assert config.max_body_bytes == 10 * 1024 * 1024
    assert config.cors_origins == []
    assert config.compress
    assert not config.use_base_path


def test_a_named_folder_without_file(tmp_path: Path) -> None:
    """A folder that is named is the service's, also without a file in it."""
    (tmp_path / "svc").mkdir()
    assert load_config(path="svc").apis_path == tmp_path / "svc" / "apis"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        pytest.param("response_validation", "sample:0.01", "sample:0.01", id="sample"),
        pytest.param("response_validation", "observe", "observe", id="observe"),
        pytest.param("log_level", "debug", "DEBUG", id="log-level"),
    ],
)
def test_checked_texts(tmp_path: Path, key: str, value: str, expected: str) -> None:
    """Texts that have a grammar of their own pass when they keep it."""
    write(tmp_path, **{key: value})
    assert getattr(load_config(tmp_path), key) == expected


def test_an_empty_file(tmp_path: Path) -> None:
    """A file with comments only gives the defaults."""
    (tmp_path / "pym-config.yaml").write_text("# nothing yet\n")
    assert load_config(tmp_path).name == tmp_path.name


@pytest.mark.parametrize(
    ("env", "variable", "expected"),
    [
        pytest.param(None, None, "plain", id="none"),
        pytest.param("live", None, "of live", id="argument"),
        pytest.param(None, "live", "of live", id="PYM_ENV"),
        pytest.param("test", "live", "plain", id="argument-beats-PYM_ENV"),
    ],
)
def test_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: str | None, variable: str | None, expected: str
) -> None:
    """The environment's own file goes first, pym-config.yaml stands in for a missing one."""
    if variable:
        monkeypatch.setenv("PYM_ENV", variable)
    write(tmp_path, name="plain")
    write(tmp_path, "pym-config.live.yaml", name="of live")
    config = load_config(tmp_path, env=env)
    assert config.name == expected
    assert config.env == (env or variable)


def test_places_of_pymacaron_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder the script's folder, its test/ and the working folder are searched, in that order."""
    script, cwd = tmp_path / "script", tmp_path / "cwd"
    (script / "test").mkdir(parents=True)
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    monkeypatch.setattr("sys.argv", [str(script / "server.py")])
    assert load_config().name == "cwd"
    write(cwd, name="in cwd")
    assert load_config().name == "in cwd"
    write(script / "test", name="in test")
    assert load_config().name == "in test"
    write(script, name="in script")
    assert load_config().name == "in script"


def test_a_named_path(tmp_path: Path) -> None:
    """A path names a file, or a folder that is searched before the others."""
    (tmp_path / "other").mkdir()
    write(tmp_path, name="here")
    file = write(tmp_path / "other", name="there")
    assert load_config(path=file).name == "there"
    assert load_config(tmp_path, path="other").name == "there"
    assert load_config(path=file).folder == tmp_path / "other"
    with pytest.raises(
        ConfigError, match=r"^nowhere\.yaml: there is no such file or folder\. Name the file to read\.$"
    ):
        load_config(path="nowhere.yaml")


def test_apis_path_of_the_file(tmp_path: Path) -> None:
    """apis_path may be set, relative to the file."""
    write(tmp_path, apis_path="documents")
    assert load_config(tmp_path).apis_path == tmp_path / "documents"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {"jwt_token_timeout": "soon"},
            "pym-config.yaml:9: jwt_token_timeout is 'soon'. "
            "Input should be a valid integer, unable to parse string as an integer.",
            id="type",
        ),
        pytest.param(
            {"validation_status": "500"},
            "pym-config.yaml:9: validation_status is 500. Input should be less than or equal to 499.",
            id="range",
        ),
        pytest.param(
            {"jwt_algorithms": "[HS256, none]"},
            "pym-config.yaml:9: jwt_algorithms.1 is 'none'. Input should be 'HS256', 'HS384', 'HS512', 'RS256', "
            "'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512' or 'EdDSA'.",
            id="algorithm-none",
        ),
        pytest.param(
            {"response_validation": "sample:3"},
            "pym-config.yaml:9: response_validation is 'sample:3'. "
            "Write enforce, observe, off, or sample:0.01 for one answer of a hundred.",
            id="sample",
        ),
        pytest.param(
            {"log_level": "loud"},
            "pym-config.yaml:9: log_level is 'loud'. Write one of DEBUG, INFO, WARNING, ERROR, CRITICAL.",
            id="log-level",
        ),
        pytest.param(
            {"cors_origins": "x" * 200},
            f"pym-config.yaml:9: cors_origins is '{'x' * 79}…. Input should be a valid list.",
            id="long-value",
        ),
        pytest.param(
            {"folder": "/tmp"},
            "pym-config.yaml:9: the key folder is a name that the configuration object needs itself. Rename the key.",
            id="folder",
        ),
        pytest.param(
            {"copy": "1"},
            "pym-config.yaml:9: the key copy is a name that the configuration object needs itself. Rename the key.",
            id="method",
        ),
        pytest.param(
            {"env_secrets": "[JWT_SECRET, MY_API_KEY, DB_PASSWORD, ABSENT]"},
            "pym-config.yaml:8: the environment variable ABSENT is not set. "
            "Set ABSENT, or remove it from env_secrets and from the values.",
            id="missing-secret",
        ),
        pytest.param(
            {"env_secrets": "JWT_SECRET"},
            "pym-config.yaml:8: env_secrets is 'JWT_SECRET'. Input should be a valid list.",
            id="env-secrets-no-list",
        ),
        pytest.param({"<<": "{name: 1"}, "pym-config.yaml:10: this is no valid YAML: ", id="broken"),
        pytest.param(
            {"until": "2026-13-45"},
            "pym-config.yaml: a value cannot be read, such as a date that does not exist. Put quotes around text.",
            id="date",
        ),
    ],
)
def test_one_broken_key(tmp_path: Path, changes: dict[str, str], expected: str) -> None:
    """A wrong key is told with its file and line, its value and what to write."""
    write(tmp_path, **changes)
    assert refusal(tmp_path).startswith(expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            b"- a\n", "the file holds a list, not keys and values. Write lines such as name: pets.", id="list"
        ),
        pytest.param(b"name: \xff\n", "it is no UTF-8 text. Save it as UTF-8.", id="latin"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: bytes, expected: str) -> None:
    """A file with other content is refused in one line."""
    (tmp_path / "pym-config.yaml").write_bytes(content)
    assert refusal(tmp_path) == f"pym-config.yaml: {expected}"


def test_a_key_twice(tmp_path: Path) -> None:
    """A key that stands twice is refused: one of its values would be lost."""
    (tmp_path / "pym-config.yaml").write_text("name: a\nname: b\n")
    assert refusal(tmp_path) == "pym-config.yaml:2: the key 'name' stands here twice. Remove one of them."


def test_an_unreadable_file(tmp_path: Path) -> None:
    """What stands in the file's place and cannot be read is told with the system's reason."""
    (tmp_path / "pym-config.yaml").mkdir()
    assert refusal(tmp_path) == "pym-config.yaml: cannot read it: Is a directory. Make it a readable file."


def test_all_findings_together(tmp_path: Path) -> None:
    """Everything wrong is told at once."""
    write(tmp_path, jwt_token_timeout="soon", compress="perhaps", env_secrets="[ABSENT]", items="1")
    places = [line.partition(": ")[0] for line in refusal(tmp_path).splitlines()]
    assert places == ["pym-config.yaml:8", "pym-config.yaml:9", "pym-config.yaml:10"]


@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
def test_a_secret_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """A secret without a value stops the start; its name never stands in for it."""
    monkeypatch.delenv("JWT_SECRET") if value is None else monkeypatch.setenv("JWT_SECRET", value)
    write(tmp_path)
    state = "not set" if value is None else "empty"
    assert refusal(tmp_path) == (
        f"pym-config.yaml:8: the environment variable JWT_SECRET is {state}. "
        "Set JWT_SECRET, or remove it from env_secrets and from the values."
    )


def test_secrets_of_a_service_that_runs_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever only deploys or tests it needs no secret; a name never stands in for one there, too."""
    for name in ("JWT_SECRET", "DB_PASSWORD"):
        monkeypatch.delenv(name)
    write(tmp_path)
    config = load_config(tmp_path, needs_secrets=False)
    assert (config.jwt_secret, config.my_api_key) == (None, "api-s3cret-value")
    assert config.database == {"user": "pets", "password": "", "hosts": ["a", "b"]}
    assert config.env_secrets == ["JWT_SECRET", "MY_API_KEY", "DB_PASSWORD"]


def test_secrets_never_show(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither repr, str, a log nor a finding shows a secret, be it a known key or the service's own."""
    write(tmp_path, jwt_issuer="MY_API_KEY", sentry_dsn="https://x:s3cret@sentry.example.com/1")
    config = load_config(tmp_path)
    logging.getLogger(__name__).error("%s %r %s", config, config, config.jwt_secret)
    assert "s3cret" not in caplog.text + f"{config}"
    assert "name='pets'" in repr(config)
    assert config.find_secrets() == {*SECRETS.values(), "https://x:s3cret@sentry.example.com/1"}
    write(tmp_path, jwt_token_timeout="MY_API_KEY", jwt_secret="[JWT_SECRET]")
    assert refusal(tmp_path) == (
        "pym-config.yaml:3: jwt_secret has a value that does not fit. Input should be a valid string.\n"
        "pym-config.yaml:9: jwt_token_timeout has a value that does not fit. "
        "Input should be a valid integer, unable to parse string as an integer."
    )
    with pytest.raises(ValidationError) as caught:
        config.jwt_token_timeout = "s3cret"  # type: ignore[assignment]  # what the test is about
    assert "s3cret" not in str(caught.value)


def test_yaml_of_pymacaron_2(tmp_path: Path) -> None:
    """Values mean what they meant: ``no`` is False, an unquoted number fits where text is asked for."""
    write(tmp_path, use_cache="no", jwt_audience="71263817236128736", with_async="on", live_host="'pets.test'")
    config = load_config(tmp_path)
    assert config.use_cache is False
    assert config.jwt_audience == "71263817236128736"
    assert config.with_async is True
    assert config.live_host == "pets.test"


def test_an_own_key_that_is_missing(tmp_path: Path) -> None:
    """Asking for a key that the file lacks says which file, or that there is none."""
    file = write(tmp_path)
    with pytest.raises(AttributeError, match=f"^{file} has no key colour$"):
        _ = load_config(tmp_path).colour
    with pytest.raises(AttributeError, match=r"^no pym-config\.yaml was read, so there is no key colour$"):
        _ = get_config().colour
    with pytest.raises(AttributeError, match="_colour"):
        _ = get_config()._colour
    assert getattr(get_config(), "colour", "red") == "red"


def test_the_configuration_of_the_process(tmp_path: Path) -> None:
    """There is one configuration in a process; it is filled in place, or replaced."""
    taken_early = get_config()
    assert taken_early is get_config()
    assert not taken_early.is_chosen
    write(tmp_path)
    get_config().load_pym_config(path=tmp_path)
    assert taken_early.name == "pets"
    assert taken_early.is_chosen
    other = PymConfig(name="other")
    set_config(other)
    assert get_config() is other


def test_the_configuration_of_an_app() -> None:
    """Inside of a service's app its own configuration is in force."""
    app = Flask(__name__)
    config = PymConfig(name="mine")
    app.extensions["pymacaron"] = Service(app, config)
    with app.app_context():
        assert get_config() is config
    assert get_config() is not config
    with Flask("stranger").app_context():
        assert get_config() is not config


def test_keys_set_in_tests() -> None:
    """Keys can be set; a known one is checked and converted."""
    config = PymConfig()
    config.jwt_secret = "a-new-secret"  # type: ignore[assignment]  # converted on assignment
    config.mine = 1
    assert config.jwt_secret == SecretStr("a-new-secret")
    assert config.mine == 1
