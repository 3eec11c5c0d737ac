"""The lean way of a request to an operation: everything that Flask promises, nothing that nobody asked for."""

from pymacaron.dispatch.contexts import LeanContext
from pymacaron.dispatch.lean import LeanDispatch
from pymacaron.dispatch.table import LeanRoute, RouteTable

__all__ = ["LeanContext", "LeanDispatch", "LeanRoute", "RouteTable"]
