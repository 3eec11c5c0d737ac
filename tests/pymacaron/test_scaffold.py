from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pymacaron.cli import main
from pymacaron.config import load_config
from pymacaron.exceptions import ConfigError
from pymacaron.scaffold import PIPELINES, check_name, plan_service, write_service
from pymacaron.spec import load_spec

CheckTypes = Callable[..., subprocess.CompletedProcess[str]]

FILES = {
    ".gitignore",
    "README.md",
    "apis/pet_shop.yaml",
    "apis/pet_shop_models.py",
    "pet_shop/__init__.py",
    "pet_shop/handlers.py",
    "pet_shop/store.py",
    "pym-config.prod.yaml",
    "pym-config.yaml",
    "pytest.ini",
    "requirements.txt",
    "server.py",
    "testaccept/test_items.py",
    "testaccept/test_service.py",
}
STYLE = ("--isolated", "--exclude", "*_models.py")
RULES = "E,F,I,B,UP,SIM,ANN,D1,RET,PTH,S"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scaffold") / "pet-shop"
    write_service("pet-shop", folder)
    return folder


def test_files(service: Path) -> None:
    """A service is these files, all placeholders filled in."""
    files = {file.relative_to(service).as_posix(): file for file in service.rglob("*") if file.is_file()}
    assert set(files) == FILES
    assert [name for name, file in files.items() if "{" + "{" in file.read_text()] == []


def test_document(service: Path) -> None:
    """The document is CRUD on one resource, each write protected, errors and objectives said."""
    api = load_spec(service / "apis" / "pet_shop.yaml")
    assert {operation.operation_id: bool(operation.security) for operation in api.operations} == {
        "list_items": False,
        "create_item": True,
        "get_item": False,
        "replace_item": True,
        "delete_item": True,
    }
    assert api.get_operation("replace_item").statuses == ("200", "400", "401", "404", "415")
    assert api.extensions["x-slo"] == {"availability": 99, "latency": {"p95": "250ms"}}


def test_each_service_has_a_secret_of_its_own(service: Path) -> None:
    """The development secret is random, long, and differs between services; it stands in one file only."""
    secret = yaml.safe_load((service / "pym-config.yaml").read_text())["jwt_secret"]
    assert len(secret) == 64
    other = plan_service("pet-shop")
    assert yaml.safe_load(other["pym-config.yaml"])["jwt_secret"] != secret
    assert [file.name for file in service.rglob("*") if file.is_file() and secret in file.read_text()] == [
        "pym-config.yaml"
    ]


def test_production_takes_the_secret_from_the_environment(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With PYM_ENV=prod the service does not start without its secret."""
    with pytest.raises(ConfigError, match="the environment variable PET_SHOP_JWT_SECRET is not set"):
        load_config(service, env="prod")
    monkeypatch.setenv("PET_SHOP_JWT_SECRET", "s" * 32)
    config = load_config(service, env="prod")
    assert config.jwt_secret is not None
    assert config.jwt_secret.get_secret_value() == "s" * 32
    assert config.jwt_issuer != load_config(service).jwt_issuer


@pytest.mark.parametrize(
    ("name", "package"),
    [
        pytest.param("shop", "shop", id="word"),
        pytest.param("pet-shop", "pet_shop", id="hyphen"),
        pytest.param("pet_shop", "pet_shop", id="underscore"),
        pytest.param("shop2", "shop2", id="digit"),
        pytest.param("a" * 40, "a" * 40, id="longest"),
    ],
)
def test_good_names(name: str, package: str) -> None:
    """The package is the name as Python can write it."""
    assert check_name(name) == package


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("", "'' is no name for a service", id="empty"),
        pytest.param("Shop", "'Shop' is no name for a service", id="capital"),
        pytest.param("2shop", "'2shop' is no name for a service", id="digit first"),
        pytest.param("pet shop", "'pet shop' is no name for a service", id="space"),
        pytest.param("pet--shop", "'pet--shop' is no name for a service", id="two hyphens"),
        pytest.param("shop-", "'shop-' is no name for a service", id="hyphen last"),
        pytest.param("../shop", "'../shop' is no name for a service", id="path"),
        pytest.param("shop\n", "'shop\\n' is no name for a service", id="line end"),
        pytest.param("schön", "'schön' is no name for a service", id="not ASCII"),
        pytest.param("a" * 41, f"'{'a' * 41}' is no name for a service", id="too long"),
        pytest.param("class", "class has a meaning of its own", id="keyword"),
        pytest.param("apis", "apis has a meaning of its own", id="folder of every service"),
        pytest.param("json", "the service's package json would hide the module json of Python", id="standard library"),
        pytest.param("flask", "the service's package flask would hide the module flask of Flask", id="installed"),
    ],
)
def test_bad_names(name: str, found: str) -> None:
    """A name that cannot be a package, or hides another, is refused with the reason."""
    with pytest.raises(ConfigError) as caught:
        check_name(name)
    assert caught.value.findings[0].found == found


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Files that exist stop the command, all of them named, and nothing is written."""
    (tmp_path / "apis").mkdir()
    for name in ("README.md", "apis/shop.yaml"):
        (tmp_path / name).write_text("mine")
    answer = CliRunner().invoke(main, ["new", "shop", "--folder", str(tmp_path)])
    assert answer.exit_code == 2
    fix = "it exists already. Remove it, or choose another folder with --folder."
    assert answer.output == f"{tmp_path}/README.md: {fix}\n{tmp_path}/apis/shop.yaml: {fix}\n"
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["README.md", "apis", "shop.yaml"]
    assert (tmp_path / "README.md").read_text() == "mine"


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder that cannot be made is told in one line."""
    (tmp_path / "file").write_text("")
    answer = CliRunner().invoke(main, ["new", "shop", "--folder", str(tmp_path / "file" / "shop")])
    assert answer.exit_code == 2
    found = "cannot write there: Not a directory. Choose another folder with --folder."
    assert answer.output == f"{tmp_path}/file/shop: {found}\n"


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command writes into ./NAME and says what comes next."""
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(main, ["new", "shop"])
    assert answer.exit_code == 0, answer.output
    assert answer.output == (
        "Wrote 14 files into shop. Next:\n"
        "  cd shop\n"
        "  pymacaron run    serve it, docs at http://127.0.0.1:8000/doc\n"
        "  pytest           start it on a free port, test it, stop it\n"
    )
    assert (tmp_path / "shop" / "apis" / "shop_models.py").is_file()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ruff", "format", *STYLE, "--check", "."], id="format"),
        pytest.param(["ruff", "check", *STYLE, "--select", RULES, "--ignore", "S101,ANN401", "."], id="lint"),
    ],
)
def test_code_is_an_example(service: Path, command: list[str]) -> None:
    """What is written is formatted, and clean to a linter with its defaults."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=service, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_code_is_typed(service: Path, check_types: CheckTypes) -> None:
    """What is written passes a strict type checker."""
    done = check_types(service, "server.py", "pet_shop")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.unmeasured
@pytest.mark.parametrize(("ci", "schema"), [("github", "vendor.github-workflows"), ("gitlab", "vendor.gitlab-ci")])
def test_pipeline_is_what_its_runner_reads(ci: str, schema: str, tmp_path: Path) -> None:
    """The file keeps to the schema that is published for it, and names the service's own document and secret."""
    text = plan_service("pet-shop", ci)[PIPELINES[ci]]
    file = tmp_path / "pipeline.yml"
    file.write_text(text)
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "<<" not in text
    assert "apis/pet_shop.yaml" in text
    assert "PET_SHOP_JWT_SECRET" in text


@pytest.mark.unmeasured
def test_pipeline_runs(tmp_path: Path) -> None:
    """The commands of the pipeline pass on the service that they were written with, and stop a breaking change."""
    folder = tmp_path / "pet-shop"
    write_service("pet-shop", folder, "github")
    commit = "git add -A && git -c user.name=A -c user.email=a@example.com commit -qm Begin"
    origin = f"git clone -q --bare . {tmp_path}/origin && git remote add origin {tmp_path}/origin"
    subprocess.run(["bash", "-ec", f"git init -qb main && {commit} && {origin}"], cwd=folder, check=True)
    jobs = yaml.safe_load((folder / PIPELINES["github"]).read_text())["jobs"]
    steps = {step["name"]: step["run"] for step in jobs["gate"]["steps"] if "run" in step}
    del steps["Install"]  # what it installs is here
    compare = steps.pop("Compare the document with the one that clients know")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = {"BASE": "main", "RUNNER_TEMP": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment = {**{key: value for key, value in os.environ.items() if not key.startswith("PYM_")}, **told}

    script = "\n".join([compare, *steps.values()]).replace("8000", str(port))
    with subprocess.Popen(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as running:
        try:
            running.wait(timeout=300)
        finally:
            os.killpg(running.pid, signal.SIGTERM)  # the service, too
        assert running.stdout
        output = running.stdout.read()
    assert running.returncode == 0, output
    assert "Verdict: pass" in output

    document = folder / "apis" / "pet_shop.yaml"
    document.write_text(document.read_text().replace("operationId: get_item", "operationId: read_item"))
    stopped = subprocess.run(
        ["bash", "-ec", compare], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert stopped.returncode == 1, stopped.stderr
    assert "breaking" in stopped.stdout


def test_pipelines_judge_alike() -> None:
    """Whoever runs the pipeline, the service is tested and judged by the same commands."""
    hub = yaml.safe_load(plan_service("shop", "github")[PIPELINES["github"]])["jobs"]["gate"]["steps"]
    lab = yaml.safe_load(plan_service("shop", "gitlab")[PIPELINES["gitlab"]])["gate"]["script"]
    single = [step["run"].strip() for step in hub if "run" in step and "\n" not in step["run"].strip()]
    assert single == [line for line in lab if line in single]
    assert any("pymacaron gate" in line for line in single)
