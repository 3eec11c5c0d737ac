"""Instances of the schemas of real documents are accepted, mutants judged as jsonschema-rs does, and both survive."""

from __future__ import annotations

import json
import random
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import hypothesis
import jsonschema_rs
import pytest
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir, storage_directory
from pydantic import BaseModel, RootModel
from pydantic_core import PydanticSerializationError, to_json
from schemathesis.core.errors import InvalidSchema, UnsupportedSchema
from schemathesis.generation.jsonschema.builder import build

from pymacaron.codegen import load_models
from pymacaron.codegen.directions import find_marks
from pymacaron.exceptions import SpecError
from pymacaron.json_types import Json, JsonObject
from pymacaron.judge import REF, Direction, judge_of
from pymacaron.spec import Api, load_spec
from pymacaron.validation import JsonReader, SchemaCheck

pytestmark = pytest.mark.unmeasured

SPECS = Path(__file__).parents[2] / "shared" / "specs"
PARTS = {"NewPet", "Pet", "parameters", "Error"}
# A document that stands there as YAML and as JSON is tested once.
DOCUMENTS = [
    file
    for file in sorted(SPECS.rglob("*"))
    if file.suffix in {".yaml", ".json"}
    and (file.parts[len(SPECS.parts)] in {"oai", "realworld", "twilio"} or "pass" in file.parts)
    and file.stem not in PARTS
    and not (file.suffix == ".json" and file.with_suffix(".yaml").exists())
]
# No documents: parts of others, empty files, and some without the paths that OpenAPI 3.0 demands.
UNREADABLE = {
    *("ok.yaml", "test.yaml", "fart.openapi.yaml", "swagger.json", "test-oas3.yaml", "test-openapi.json", "test.json"),
    *("server_enum_empty.yaml", "server_enum_unknown.yaml"),
}
INSTANCES, MUTANTS = 3, 4
ODD_VALUES: list[Json] = [
    *(None, True, False, 0, 1, -1, 1.0, 1.5, -0.0, 2**31, 2**53 + 1, 10**30, 1e300, "", "a", "1", "\u00e9\n", "\u2028"),
    *([], {}, [None], [1, 1.0], {"a": 1}, {"": None}, {"__proto__": 1, "class": {}}),
    *("2026-01-31", "2026-01-31T10:00:00Z", "2026-02-30", "123e4567-e89b-12d3-a456-426614174000", "a@b.cd", "http://a"),
]
FORMATS = {
    "date-time": st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}Z".zfill(20)),
    "date": st.dates().map(str),
    "time": st.times().map(lambda moment: f"{moment:%H:%M:%S}Z"),
    "uuid": st.uuids().map(str),
    "email": st.just("a@example.com"),
    "uri": st.just("http://example.com/a?b#c"),
    "hostname": st.just("example.com"),
    "ipv4": st.ip_addresses(v=4).map(str),
    "ipv6": st.ip_addresses(v=6).map(str),
    "byte": st.just("UGV0cw=="),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False, places=2).map(lambda number: f"{number:f}"),
    "duration": st.just("P1DT2H"),
}


def mutate(value: Json, rng: random.Random) -> Json:
    """Return *value* with one change at a random place."""
    is_deep = rng.random() < 0.75
    if isinstance(value, dict) and value and is_deep:
        return mutate_object(value, rng)
    if isinstance(value, list) and value and is_deep:
        return mutate_array(value, rng)
    near: list[Json] = []
    if isinstance(value, str):
        near = [f"{value}\n", value[:-1], value * 3, f" {value}", value.upper()]
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        near = [value + 1, value - 1, -value, float(value) + 0.5, float(value), str(value)]
    return rng.choice(near if near and rng.random() < 0.5 else ODD_VALUES)


def mutate_object(value: JsonObject, rng: random.Random) -> JsonObject:
    """Return *value* with a property less, one more, or another one."""
    key = rng.choice(sorted(value))
    kind = rng.randrange(5)
    if kind == 0:
        return {name: inner for name, inner in value.items() if name != key}
    return value | ({f"{key}x": value[key]} if kind == 1 else {key: mutate(value[key], rng)})


def mutate_array(value: list[Json], rng: random.Random) -> list[Json]:
    """Return *value* with an item less, one twice, or another one."""
    place = rng.randrange(len(value))
    kind = rng.randrange(4)
    if kind == 0:
        return [*value, value[place]]
    return [*value[:place], *([] if kind == 1 else [mutate(value[place], rng)]), *value[place + 1 :]]


def read(reader: JsonReader, data: bytes) -> tuple[Json, list[str]]:
    """Return what a request's body becomes, and its faults."""
    faults: list[str] = []
    return reader.read(data, faults), faults


def write(model: type[BaseModel], value: Json) -> bytes:
    """Return the JSON of what a handler got: what was sent, without defaults."""
    held = model.model_construct(value) if issubclass(model, RootModel) else value
    try:
        with warnings.catch_warnings(action="error"):  # plain data has no place in the model
            return model.__pydantic_serializer__.to_json(held, by_alias=True, exclude_unset=True)
    except (PydanticSerializationError, UserWarning):
        return to_json(value)


def check_value(
    value: Json, reader: JsonReader, oracle: jsonschema_rs.Draft202012Validator, model: type[BaseModel]
) -> bool:
    """Demand that *value* is judged right, and survives being read and written."""
    data = json.dumps(value).encode()
    is_valid = oracle.is_valid(json.loads(data))
    result, faults = read(reader, data)
    assert is_valid == (not faults), (value, faults)
    if is_valid:
        again = write(model, result)
        result_again, faults = read(reader, again)
        assert not faults, (value, again, faults)
        assert result_again == result, (value, again)
    return is_valid


def reach(name: str, schemas: Mapping[str, JsonObject]) -> dict[str, JsonObject]:
    """Return the named schema and all that it refers to."""
    reached: dict[str, JsonObject] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in schemas and current not in reached:
            reached[current] = schemas[current]
            waiting += re.findall(rf'"{REF}([^"]+)"', json.dumps(schemas[current]))
    return reached


def find_strategy(name: str, schemas: Mapping[str, JsonObject]) -> st.SearchStrategy[Json]:
    """Return what draws instances of a named schema, odd values where the library cannot tell."""
    document = {"$ref": REF + name, "components": {"schemas": reach(name, schemas)}}
    try:
        strategy = build(document, draft=jsonschema_rs.Draft202012, formats=FORMATS)
    except (UnsupportedSchema, InvalidSchema):
        return st.sampled_from(ODD_VALUES)
    return st.sampled_from(ODD_VALUES) if strategy.is_empty else strategy


def check_schema(name: str, api: Api, model: type[BaseModel], direction: Direction) -> Counter[bool]:
    """Demand that instances of a named schema and their mutants are judged right; return how many were valid or not."""
    schema = {"$ref": REF + name}
    oracle = judge_of(api.schemas).compile(schema, direction)
    reader = JsonReader(model, SchemaCheck.build(schema, api.schemas, direction=direction))
    judged: Counter[bool] = Counter()

    @hypothesis.seed(1)
    @hypothesis.settings(
        database=None,
        max_examples=INSTANCES,
        deadline=None,
        phases=(hypothesis.Phase.generate,),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(find_strategy(name, api.schemas))
    def check(instance: Json) -> None:
        rng = random.Random(zlib.crc32(repr(instance).encode()))
        values = [instance]
        for _ in range(MUTANTS):
            values.append(mutate(rng.choice(values), rng))
        for value in values:
            judged[check_value(value, reader, oracle, model)] += 1

    check()
    return judged


def find_direction(name: str, marks: Mapping[str, frozenset[str]]) -> Direction:
    """Return the way that values of a schema go; answers, where its class is of answers only and that matters."""
    return "response" if marks and "readOnly" not in marks.get(name, ()) else "request"


@pytest.fixture(autouse=True)
def _quiet_hypothesis(tmp_path: Path) -> Iterator[None]:
    """Keep hypothesis' files out of the working directory."""
    before = storage_directory(intent_to_write=False).home_directory
    set_hypothesis_home_dir(tmp_path)
    yield
    set_hypothesis_home_dir(before)


def test_the_documents_are_there() -> None:
    """Without them the tests below would test nothing."""
    if not SPECS.is_dir():
        pytest.skip(f"{SPECS} is not there: the documents of others are not part of this repository")
    assert len(DOCUMENTS) == 100


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(SPECS)))
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
def test_all_schemas_of_a_document(file: Path) -> None:
    """A body is accepted if and only if jsonschema-rs accepts it, and what was read and written is read again."""
    try:
        api = load_spec(file)
    except SpecError:
        assert file.name in UNREADABLE
        return
    models = load_models(api, None, may_write=False)
    marks = find_marks(api)
    judged: Counter[bool] = Counter()
    for name in api.schemas:
        judged += check_schema(name, api, models[name], find_direction(name, marks))
    if api.schemas:
        assert judged[True] > 0
        assert judged[True] + judged[False] >= len(api.schemas) * MUTANTS
