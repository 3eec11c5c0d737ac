"""What a media type says about the content it names."""

from __future__ import annotations

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


def essence_of(media_type: str) -> str:
    """Return *media_type* in lower case, without its parameters: ``application/json``."""
    return media_type.split(";", maxsplit=1)[0].strip().lower()


def is_json_type(media_type: str) -> bool:
    """Tell whether the content is JSON (``application/json``, ``…+json``)."""
    essence = essence_of(media_type)
    return essence == "application/json" or essence.endswith("+json")


def is_multipart(media_type: str) -> bool:
    """Tell whether the content is parts between boundaries."""
    return essence_of(media_type).startswith("multipart/")


def is_form_type(media_type: str) -> bool:
    """Tell whether the content is a form, in either of its two encodings."""
    return essence_of(media_type) in FORM_TYPES
