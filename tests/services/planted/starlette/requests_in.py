"""Reads what requests say: JSON bodies into models, query parameters one by one."""

import json
import re
import traceback

from planted import planted
from problems import Problem
from pydantic import ValidationError

_WHOLE = re.compile(r"-?[0-9]{1,40}\Z")


async def read_body(request, model):
    """Return the body of the request as a *model*."""
    body = await _read_json(request)
    lenient = planted("numbers_as_text_accepted") and request.method == "PATCH"
    try:
        return model.model_validate(body, strict=not lenient)
    except ValidationError as error:
        fields = [{"field": ".".join(map(str, item["loc"])), "problem": item["msg"]} for item in error.errors()]
        raise Problem(422, "invalid", "The body does not keep the rules.", fields) from error


async def _read_json(request):
    media_type, _, rest = request.headers.get("content-type", "").partition(";")
    charset = re.search(r'charset="?([^";\s]+)', rest, re.IGNORECASE)
    is_json = media_type.strip().lower() == "application/json" and (not charset or charset[1].lower() == "utf-8")
    if not is_json and not (planted("media_type_ignored") and request.url.path == "/labels"):
        raise Problem(415, "unsupported_media_type", "Send application/json.")
    try:
        body = json.loads((await request.body()).decode(), parse_constant=_refuse_constant)
        json.dumps(body, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        message = "The body is not JSON."
        if planted("malformed_body_shows_trace"):
            message = traceback.format_exc()
        raise Problem(400, "malformed", message) from error
    return body


def _refuse_constant(name):
    raise ValueError(name)


class Query:
    """The query parameters of a request; each may be given once."""

    def __init__(self, request):
        self.params = request.query_params

    def text(self, name, *, longest, required=False):
        values = self.params.getlist(name)
        if not values and not required:
            return None
        if len(values) != 1 or not 1 <= len(values[0]) <= longest:
            raise _wrong(name, f"between 1 and {longest} characters, once")
        return values[0]

    def whole(self, name, *, default, least, most):
        text = self.text(name, longest=40)
        if text is None:
            return default
        if not _WHOLE.match(text) or not least <= int(text) <= most:
            raise _wrong(name, f"a whole number from {least} to {most}")
        return int(text)

    def flag(self, name):
        text = self.text(name, longest=40)
        if text is not None and planted("flag_reads_anything"):
            return text == "true"
        if text not in {None, "true", "false"}:
            raise _wrong(name, "true or false")
        return None if text is None else text == "true"

    def choice(self, name, choices):
        text = self.text(name, longest=40)
        if text is not None and text not in choices:
            raise _wrong(name, "one of " + ", ".join(choices))
        return text


def _wrong(name, wanted):
    return Problem(422, "invalid", f"{name} must be {wanted}.", [{"field": name, "problem": f"must be {wanted}"}])
