"""The test plugin: keeps a live service to its API documents, and gives hand-written tests what they need."""

from pymacaron_testing.case import PyMacaronTestCase

__all__ = ["PyMacaronTestCase"]
