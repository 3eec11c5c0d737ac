"""`pymacaron generate`: what is written, what is left alone, and what --check says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pymacaron.cli import main
from pymacaron.handler_modules import find_modules

SERVER = 'from pymacaron import create_app\n\napp = create_app(__name__, handlers="svc.handlers")\n'
HANDLERS = """\
from apis.pets_models import NewPet, Pet

def list_pets(limit, tag=None, x_tenant=None, session=None): return []
def create_pet(body): return Pet(id=1, name=body.name), 201
def get_pet(pet_id): return Pet(id=pet_id, name="Rex")
"""
Run = Callable[..., Result]


@pytest.fixture
def service(tmp_path: Path, pets_document: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a service, which is the working folder; one of its four handlers is missing."""
    (tmp_path / "apis").mkdir()
    (tmp_path / "svc").mkdir()
    (tmp_path / "apis" / "pets.yaml").write_text(pets_document)
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "svc" / "handlers.py").write_text(HANDLERS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _generate(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["generate", *arguments])


def _read_all(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def test_everything_that_is_due(service: Path) -> None:
    """Models and the missing stub are written; a second run changes no byte and no time."""
    done = _generate()
    assert (done.exit_code, done.output) == (0, "apis/pets_models.py: 6 models\nsvc/handlers.py: wrote delete_pet\n")
    written = (service / "svc" / "handlers.py").read_text()
    models, code = HANDLERS.split("\n", 1)
    assert written.startswith(f"{models}\nfrom pymacaron import NotImplementedYetError\n{code}")
    assert written.endswith(
        "\n\n\ndef delete_pet(*, pet_id: int) -> None:\n"
        '    """DELETE /pets/{petId}."""\n'
        '    raise NotImplementedYetError("delete_pet is still to be written")\n'
    )
    before = _read_all(service)
    again = _generate()
    assert (again.exit_code, again.output) == (0, "apis/pets_models.py: 6 models\n")
    assert _read_all(service) == before


def test_check_of_a_fresh_service(service: Path) -> None:
    """Where everything is as it would be written, the exit code is 0."""
    _generate("--client")
    before = _read_all(service)
    done = _generate("--check", "--client")
    assert (done.exit_code, done.output) == (0, "2 files are up to date.\n")
    assert _read_all(service) == before


def test_check_tells_every_fault(service: Path) -> None:
    """Stale and missing files are told, one line each, with exit code 1; nothing is written."""
    _generate("--client")
    document = service / "apis" / "pets.yaml"
    document.write_text(document.read_text().replace("operationId: listPets", "operationId: findPets"))
    client = service / "apis" / "pets_client.py"
    client.write_text(client.read_text() + "\n")
    (service / "apis" / "pets_models.py").unlink()
    before = _read_all(service)
    done = _generate("--check")
    assert done.exit_code == 1
    assert done.output == (
        "apis/pets_models.py: it was never written. Run pymacaron generate.\n"
        "apis/pets_client.py: it is older than apis/pets.yaml. Run pymacaron generate.\n"
        "svc/handlers.py: find_pets is missing. Run pymacaron generate.\n"
    )
    assert _read_all(service) == before


def test_check_finds_what_was_changed_by_hand(service: Path) -> None:
    """A generated file is compared whole, not only its hash."""
    _generate()
    models = service / "apis" / "pets_models.py"
    models.write_text(models.read_text().replace("name: Annotated", "nome: Annotated"))
    done = _generate("--check")
    assert done.exit_code == 1
    assert done.output == (
        "apis/pets_models.py: it was changed by hand, or another version of the generator wrote it. "
        "Run pymacaron generate.\n"
    )


def test_a_client_is_written_where_it_is_asked_for_and_kept_fresh(service: Path) -> None:
    """A client comes into being with --client; from then on every run keeps it fresh, except one for models only."""
    client = service / "apis" / "pets_client.py"
    _generate()
    assert not client.exists()
    assert "apis/pets_client.py: 4 operations" in _generate("--client").output
    fresh = client.read_bytes()
    client.write_text("")
    _generate("--models")
    assert client.read_bytes() == b""
    _generate()
    assert client.read_bytes() == fresh


def test_models_only(service: Path) -> None:
    """With --models no handler is written."""
    assert _generate("--models").output == "apis/pets_models.py: 6 models\n"
    assert (service / "svc" / "handlers.py").read_text() == HANDLERS


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        pytest.param(
            "svc/handlers.py",
            "def f(:\n",
            "{folder}/svc/handlers.py:1: no handlers can be added: invalid syntax. Correct it. Nothing was written.\n",
            id="handlers",
        ),
        pytest.param(
            "server.py",
            "x = \n",
            "{folder}/server.py:1: no handlers can be added: invalid syntax. Correct it. Nothing was written.\n",
            id="server.py",
        ),
        pytest.param("apis/pets.yaml", "openapi: 3.1.0\n", "info", id="document"),
    ],
)
@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_what_is_broken_stops_everything(
    service: Path, file: str, text: str, message: str, arguments: tuple[str, ...]
) -> None:
    """A file that is broken is told with exit code 2, and nothing is written, not even what could be."""
    (service / file).write_text(text)
    before = _read_all(service)
    done = _generate(*arguments)
    assert done.exit_code == 2
    assert message.format(folder=service) in done.output
    assert _read_all(service) == before


@pytest.mark.parametrize(
    ("server", "names", "unknown"),
    [
        pytest.param('create_app(__name__, handlers="a.b")', ("a.b",), "", id="text"),
        pytest.param('pymacaron.create_app(__name__, handlers=["a", "b"])', ("a", "b"), "", id="list"),
        pytest.param('API(app, handlers=("a", "b")).load_apis()', ("a", "b"), "", id="API"),
        pytest.param("create_app(__name__, handlers=__name__)", ("server",), "", id="itself"),
        pytest.param(
            "\ncreate_app(__name__, handlers=find())", (), "server.py:2 computes the argument handlers", id="call"
        ),
        pytest.param("API(app).load_apis()", (), "server.py names no module of handlers", id="nothing"),
    ],
)
def test_where_server_py_says_handlers_are(tmp_path: Path, server: str, names: tuple[str, ...], unknown: str) -> None:
    """The argument ``handlers`` is read from the text of server.py, which is not run."""
    (tmp_path / "server.py").write_text(f"{server}\n")
    modules = find_modules(tmp_path)
    assert (modules.names, modules.unknown) == (names, unknown)


def test_a_service_that_does_not_say_where_handlers_are(service: Path) -> None:
    """It gets its models, and a word on what was not looked for; naming the module helps."""
    (service / "server.py").unlink()
    (service / "pym-config.yaml").write_text("name: pets\n")
    note = "4 handlers are not looked for: there is no server.py. Name their module, as in --handlers svc.handlers.\n"
    done = _generate()
    assert (done.exit_code, done.stderr) == (0, note)
    assert "wrote delete_pet" in _generate("--handlers", "svc.handlers").output


def test_new_modules_and_packages(service: Path) -> None:
    """A module that does not exist is written, with its packages; one that is somebody else's is left alone."""
    document = service / "apis" / "pets.yaml"
    text = document.read_text().replace(
        "operationId: listPets", "operationId: listPets\n      x-bind-server: a.b.c.find"
    )
    document.write_text(text.replace("operationId: getPet", "operationId: getPet\n      x-bind-server: json.tool.get"))
    done = _generate()
    assert done.exit_code == 0
    assert done.stdout == (
        "apis/pets_models.py: 6 models\n"
        "a/__init__.py: wrote package a\na/b/__init__.py: wrote package b\na/b/c.py: wrote find\n"
        "svc/handlers.py: wrote delete_pet\n"
    )
    assert done.stderr == f"1 handlers are not looked for: json.tool is not in {service}.\n"
    assert (service / "a" / "b" / "__init__.py").read_bytes() == b""
    assert "from apis.pets_models import Pets\n" in (service / "a" / "b" / "c.py").read_text()
    assert _generate("--check").exit_code == 0


@pytest.mark.parametrize(
    ("start", "encoding"),
    [pytest.param(b"\xef\xbb\xbf", "utf-8", id="BOM"), pytest.param(b"# coding: latin-1\n", "latin-1", id="coding")],
)
def test_the_encoding_of_a_module_stays(service: Path, start: bytes, encoding: str) -> None:
    """What a file says of its encoding holds for what is added too."""
    file = service / "svc" / "handlers.py"
    file.write_bytes(start + "NAME = 'Zoë'\n".encode(encoding))
    assert _generate().exit_code == 0
    data = file.read_bytes()
    assert data.startswith(start)
    assert data.count(start) == 1
    assert "NAME = 'Zoë'\n".encode(encoding) in data
    compile(data, "handlers.py", "exec")


def test_documents_of_other_services_get_no_stubs(service: Path) -> None:
    """A document outside of apis/ is one that this service calls: it gets models and, if asked for, a client."""
    (service / "others").mkdir()
    (service / "others" / "pets.yaml").write_text((service / "apis" / "pets.yaml").read_text())
    done = _generate("others/pets.yaml", "--client")
    assert done.output == "others/pets_models.py: 6 models\nothers/pets_client.py: 4 operations\n"
    assert (service / "svc" / "handlers.py").read_text() == HANDLERS


def test_no_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a document there is nothing to do."""
    monkeypatch.chdir(tmp_path)
    done = _generate()
    assert done.exit_code == 2
    assert done.output == "apis: there is no document in it. Run this in the service's folder, or name the files.\n"


def test_stubs_are_honest(service: Path) -> None:
    """A service of nothing but stubs starts without a finding, and answers 501."""
    (service / "svc" / "handlers.py").unlink()
    (service / "pym-config.yaml").write_text("name: pets\n")
    assert _generate().exit_code == 0
    code = (
        "from server import app\n"
        "client = app.test_client()\n"
        "answers = [client.get('/pets'), client.get('/pets/1'), client.delete('/pets/1')]\n"
        "answers.append(client.post('/pets', json={'name': 'Rex'}))\n"
        "print([(answer.status_code, answer.get_json()['error']) for answer in answers])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str([(501, "NOT_IMPLEMENTED")] * 4), done.stderr


def test_the_same_bytes_whatever_the_hash_seed(service: Path) -> None:
    """Sets and dicts of another order write the same text."""
    (service / "svc" / "handlers.py").unlink()
    texts = []
    for seed in ("1", "4242"):
        command = [sys.executable, "-m", "pymacaron.cli", "generate", "--client"]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed})
        names = ("apis/pets_models.py", "apis/pets_client.py", "svc/handlers.py")
        texts.append([(service / name).read_bytes() for name in names])
        for name in names:
            (service / name).unlink()
    assert texts[0] == texts[1]
