"""A server that answers for any document: `pymacaron mock pets.yaml`."""

from pymacaron.mock.command import mock
from pymacaron.mock.credentials import DEFAULT_TOKEN
from pymacaron.mock.service import create_mock

__all__ = ["DEFAULT_TOKEN", "create_mock", "mock"]
