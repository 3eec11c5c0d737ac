"""An API document, read once: `load_spec(file) -> Api`."""

from pymacaron.spec.document import load_spec, parse_spec
from pymacaron.spec.lines import describe_place, find_line
from pymacaron.spec.model import Api, Body, Media, Operation, Parameter, Response, SecurityScheme
from pymacaron.spec.resources import RESOURCES_KEY, find_resources

__all__ = [
    "RESOURCES_KEY",
    "Api",
    "Body",
    "Media",
    "Operation",
    "Parameter",
    "Response",
    "SecurityScheme",
    "describe_place",
    "find_line",
    "find_resources",
    "load_spec",
    "parse_spec",
]
