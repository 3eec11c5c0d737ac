"""Every handler is found and compared with its operation at start; all mismatches are told together."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from pymacaron.exceptions import HandlerError

MakeService = Callable[..., Flask]


def test_all_mismatches_are_told_at_once(make_service: MakeService) -> None:
    """One start shows every handler that does not fit."""
    handlers = """
    from pydantic import BaseModel
    class Other(BaseModel): pass
    def list_pet(limit): ...
    def create_pet(body: Other): ...
    def get_pet(pet_id, color): ...
    def delete_pet(): ...
    """
    with pytest.raises(HandlerError) as caught:
        make_service(handlers=handlers)
    found = [
        (finding.where.partition("pets.yaml:")[2], finding.found, finding.fix) for finding in caught.value.findings
    ]
    module = next(text.split()[0] for _, text, _ in found if text.startswith("handlers_"))
    assert sorted(found) == sorted(
        [
            (
                "5#/paths/~1pets/get (GET /pets)",
                f"{module} has no function list_pets (there is list_pet)",
                "Write def list_pets(…) there",
            ),
            (
                "14#/paths/~1pets/post (POST /pets)",
                "create_pet takes a body of class Other, the document says NewPet",
                "Annotate body with NewPet",
            ),
            (
                "21#/paths/~1pets~1{petId}/get (GET /pets/{petId})",
                "get_pet demands color, which the operation does not have",
                "Remove color, give it a default, or declare it in the document",
            ),
            (
                "27#/paths/~1pets~1{petId}/delete (DELETE /pets/{petId})",
                "delete_pet takes no parameter pet_id",
                "Add pet_id to its parameters",
            ),
        ]
    )


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("nowhere.get_pet", "there is no module nowhere", id="module"),
        pytest.param("json.lods", "json has no function lods (there is loads)", id="function"),
        pytest.param("json.decoder.NOTHING", "json.decoder has no function NOTHING", id="no function alike"),
    ],
)
def test_x_bind_server_that_names_nothing(make_service: MakeService, pets_document: str, name: str, found: str) -> None:
    """A dotted name is looked up as it stands."""
    document = pets_document.replace("operationId: getPet", f"operationId: getPet\n      x-bind-server: {name}")
    with pytest.raises(HandlerError) as caught:
        make_service(document=document)
    assert [finding.found for finding in caught.value.findings] == [found]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("import nowhere_at_all", "does not import: No module named 'nowhere_at_all'", id="missing import"),
        pytest.param("def f(:", "does not import: SyntaxError: invalid syntax", id="syntax"),
        pytest.param("1 / 0", "does not import: ZeroDivisionError: division by zero", id="raises"),
    ],
)
def test_a_module_that_does_not_import(make_service: MakeService, source: str, found: str) -> None:
    """What a module of handlers raises is a finding, not a traceback."""
    with pytest.raises(HandlerError) as caught:
        make_service(handlers=source)
    assert all(found in finding.found for finding in caught.value.findings)


def test_without_a_module_the_finding_says_how_to_name_one(make_service: MakeService, pets_document: str) -> None:
    """A bare operationId needs handlers=."""
    with pytest.raises(HandlerError) as caught:
        make_service(document=pets_document, handlers_module=())
    assert {finding.found for finding in caught.value.findings} == {
        f"no module is named in which to look for its handler {name}"
        for name in ("list_pets", "create_pet", "get_pet", "delete_pet")
    }


def test_handlers_may_take_any_keyword(make_service: MakeService) -> None:
    """`**keywords` takes every parameter; the document's own spelling of a name is as good as snake_case."""
    handlers = """
    from pymacaron.pool import apipool
    def list_pets(**keywords): return [apipool.pets.Pet(id=1, name=str(sorted(keywords)))]
    def create_pet(*args): return apipool.pets.Pet(id=1, name=args[0].name)
    def get_pet(petId): return apipool.pets.Pet(id=petId, name="Rex")
    def delete_pet(pet_id): return None
    """
    client = make_service(handlers=handlers).test_client()
    assert client.get("/pets?tag=a").json == [{"id": 1, "name": "['limit', 'tag']", "born": None}]
    assert client.get("/pets/4").json == {"id": 4, "name": "Rex", "born": None}
    assert client.post("/pets", json={"name": "Tom"}).json == {"id": 1, "name": "Tom", "born": None}


def test_decorators_of_the_document_are_applied(make_service: MakeService, pets_document: str) -> None:
    """x-decorate-server names functions that wrap the handler, the innermost first."""
    handlers = """
    from pymacaron.pool import apipool
    def list_pets(**keywords): return []
    def create_pet(body): return apipool.pets.Pet(id=1, name="x")
    def get_pet(pet_id): return apipool.pets.Pet(id=pet_id, name="Rex")
    def delete_pet(pet_id): return None
    def shout(handler):
        def wrapped(*args, **keywords):
            pet = handler(*args, **keywords)
            pet.name = pet.name.upper()
            return pet
        return wrapped
    """
    document = pets_document.replace(
        "operationId: getPet", "operationId: getPet\n      x-decorate-server: {module}.shout"
    )
    client = make_service(document=document, handlers=handlers).test_client()
    assert client.get("/pets/4").json == {"id": 4, "name": "REX", "born": None}
