"""The body of an answer in one media type, and its headers: an example of the document, else drawn from the schema."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from flask import Response, request

from pymacaron.exceptions import BadResponseException, InvalidParameterError, NotAcceptableError
from pymacaron.header_values import HeaderCheck
from pymacaron.mock.echo import echo
from pymacaron.mock.flattening import ImpossibleError
from pymacaron.mock.rendering import concrete_type, is_text_type, render, render_items
from pymacaron.mock.sampling import Sampler
from pymacaron.mock.texts import sample_bytes
from pymacaron.negotiation import parse_wishes, quality_of
from pymacaron.spec.bodies import read_examples

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.mock.preferences import Preferences
    from pymacaron.spec import Api, Media
    from pymacaron.spec import Response as DeclaredResponse

_STREAM_ITEMS = 3
_BINARY_BYTES = 64
_HEADER_TRIES = 10


class Content:
    """One representation of one answer."""

    def __init__(self, api: Api, media: Media) -> None:
        """Take *media* of *api*."""
        self._api = api
        self._media = media
        self._type = concrete_type(media.media_type)

    @cached_property
    def sampler(self) -> Sampler:
        """What makes and judges values of the schema."""
        return Sampler(self._media.schema if self._media.schema is not None else {}, self._api.schemas)

    @cached_property
    def _items(self) -> Sampler:
        return Sampler(self._media.item_schema, self._api.schemas)

    def answer(self, status: int, seed: str, wishes: Preferences, given: Mapping[str, Json]) -> Response:
        """Return the response. Raises BadResponseException where no value fits the schema."""
        if self._media.item_schema is not None:
            items = [self._draw(self._items, f"{seed} {number}") for number in range(_STREAM_ITEMS)]
            return Response(render_items(items, self._type), status=status, content_type=self._type)
        if wishes.example is not None:
            body = self._render(self._find_example(wishes.example))
        elif self._is_binary:
            body = self._bytes(seed)
        else:
            body = self._render(echo(self._choose(seed, wishes), given, self.sampler.is_valid))
        return Response(body, status=status, content_type=self._type)

    @property
    def _is_binary(self) -> bool:
        return not is_text_type(self._type)

    def _render(self, value: Json) -> bytes:
        return render(value, self._type, self._media.schema)

    def _find_example(self, name: str) -> Json:
        if name in self._media.examples:
            return self._media.examples[name]
        known = ", ".join(filter(None, self._media.examples)) or "none that has a name"
        raise InvalidParameterError(faults=[f"header Prefer: this answer has no example {name}; it has {known}"])

    def _choose(self, seed: str, wishes: Preferences) -> Json:
        if not wishes.is_dynamic:
            for value in self._media.examples.values():
                if isinstance(value, str) and not self._media.is_json:
                    return value
                if self.sampler.is_valid(value):
                    return value
        return self._draw(self.sampler, seed)

    def _draw(self, sampler: Sampler, seed: str) -> Json:
        try:
            return sampler.sample(seed)
        except ImpossibleError as error:
            place = self._api.place_of(f"{self._media.pointer}/schema")
            raise BadResponseException(f"No value could be found that fits the schema at {place}: {error}") from error

    def _bytes(self, seed: str) -> bytes:
        for example in self._media.examples.values():
            if isinstance(example, str):
                return example.encode()
        schema = self._media.schema or {}
        size = max(schema.get("minLength", 0), min(schema.get("maxLength", _BINARY_BYTES), _BINARY_BYTES))
        return sample_bytes(random.Random(seed), size)  # noqa: S311 - no secret


def choose_media(declared: DeclaredResponse) -> Media | None:
    """Return the representation that the caller likes best; of equal ones the document's first.

    Raises: NotAcceptableError: the caller accepts none of them.
    """
    if not declared.media:
        return None
    wishes = parse_wishes(request.headers.get("Accept", "*/*"))
    qualities = [quality_of(concrete_type(media.media_type), wishes) for media in declared.media]
    if not any(qualities):
        offered = ", ".join(media.media_type for media in declared.media)
        raise NotAcceptableError(f"This answer is {offered}, which Accept excludes")
    return declared.media[qualities.index(max(qualities))]


def draw_headers(api: Api, declared: DeclaredResponse, seed: str) -> dict[str, str]:
    """Return a value for each declared header; without those for which none can be sent that fits."""
    drawn = {name: _draw_header(api, name, node, f"{seed} {name}") for name, node in declared.headers.items()}
    return {name: text for name, text in drawn.items() if text is not None}


def _draw_header(api: Api, name: str, node: JsonObject, seed: str) -> str | None:
    check = HeaderCheck(name, node, api.schemas)
    content = next(iter(node.get("content", {}).values()), None)
    sampler = Sampler((content or node).get("schema", {}), api.schemas)
    examples = (value for _, value in read_examples(api.document, content or node))
    drawn = (sampler.sample(f"{seed} {number}") for number in range(_HEADER_TRIES))
    for value in chain(filter(sampler.is_valid, examples), drawn):
        text = check.write(value)
        if text.isascii() and text.isprintable() and text == text.strip() and not check.find_fault(text):
            return text
    return None
