"""An API document, read once: `load_spec(file) -> Api`."""

from pymacaron.spec.document import load_spec, parse_spec
from pymacaron.spec.model import Api, Body, Media, Operation, Parameter, Response, SecurityScheme

__all__ = [
    "Api",
    "Body",
    "Media",
    "Operation",
    "Parameter",
    "Response",
    "SecurityScheme",
    "load_spec",
    "parse_spec",
]
