"""Names that a document's own words get in Python: classes, keywords, operation ids."""

from __future__ import annotations

import keyword
import re
from collections.abc import Container, Iterable, Sequence

# Names that generated modules import, and that a model of the same name would hide.
_RESERVED_CLASSES = {
    *("Annotated", "Any", "AnyUrl", "AwareDatetime", "Base64Str", "BaseModel", "ByteSize", "ConfigDict", "Date"),
    *("Decimal", "Dict", "EmailStr", "Enum", "Field", "IPv4Address", "IPv6Address", "List", "Literal", "Mapping"),
    *("Model", "NaiveDatetime", "None", "Optional", "PastDate", "Path", "PymacaronBaseModel", "RootModel", "SecretStr"),
    *("Sequence", "Set", "StrEnum", "Time", "Timedelta", "Tuple", "TypeAlias", "TypeAliasType", "UUID", "Union"),
    *("UniqueItemsValidator", "datetime"),
}
_WORD = re.compile(r"[A-Za-z0-9]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def class_name(text: str) -> str:
    """Return *text* as the name of a class: ``new-pet`` -> ``NewPet``, ``api.v2`` -> ``ApiV2``.

    Capitals inside a word stay. Names that a generated module needs itself get an ending: ``Field`` -> ``FieldModel``;
    those that begin with a digit get ``Model`` in front, those without Latin letters or digits are ``Unnamed``.
    """
    name = "".join(word[0].upper() + word[1:] for word in _WORD.findall(text))
    if not name or name[0].isdigit():
        name = f"Model{name}" if name else "Unnamed"
    is_taken = name in _RESERVED_CLASSES or keyword.iskeyword(name)
    return f"{name}Model" if is_taken else name


def snake_case(text: str) -> str:
    """Return *text* as a Python keyword: ``petId`` -> ``pet_id``, ``X-Request-ID`` -> ``x_request_id``.

    Words of the language get an underscore (``class_``), digits to begin with ``value_`` in front.
    """
    name = "_".join(_HUMP.sub("_", word) for word in _WORD.findall(text)).lower()
    if not name or name[0].isdigit():
        name = f"value_{name}".rstrip("_")
    return f"{name}_" if keyword.iskeyword(name) else name


def unique_name(name: str, taken: Container[str], separator: str = "") -> str:
    """Return *name*, with the first number from 2 appended that makes it differ from all that are *taken*."""
    candidate = name
    number = 1
    while candidate in taken:
        number += 1
        candidate = f"{name}{separator}{number}"
    return candidate


def name_classes(names: Iterable[str]) -> dict[str, str]:
    """Return a class name for each of *names*, all different; names that are fine as they are get theirs first."""
    names = list(names)
    classes = {name: name for name in names if class_name(name) == name}
    taken = set(classes.values())
    for name in names:
        if name not in classes:
            classes[name] = unique_name(class_name(name), taken)
            taken.add(classes[name])
    return {name: classes[name] for name in names}


def name_keywords(parameters: Sequence[tuple[str, str]], *, has_body: bool) -> list[str]:
    """Return a keyword for each parameter, given as (name, location), in their order; all different.

    Where two clash, the one in the path stays and the others get their location appended; ``body`` belongs to the
    body where there is one.
    """
    wanted = [snake_case(name) for name, _ in parameters]
    taken: set[str] = {"body"} if has_body else set()
    keywords = []
    for plain, (_, location) in zip(wanted, parameters, strict=True):
        is_alone = wanted.count(plain) == 1 and plain not in taken
        name = plain if is_alone or (location == "path" and plain not in taken) else f"{plain}_{location}"
        name = unique_name(name, taken, "_")
        taken.add(name)
        keywords.append(name)
    return keywords


def derive_operation_id(method: str, path: str) -> str:
    """Return an id for an operation that has none: ``GET /pets/{petId}`` -> ``get_pets_pet_id``."""
    return snake_case(f"{method} {path}")
