"""A server that answers for any document: `pymacaron mock pets.yaml`."""

from pymacaron.mock.command import mock, start_server
from pymacaron.mock.credentials import DEFAULT_TOKEN, describe_credentials
from pymacaron.mock.service import create_mock

__all__ = ["DEFAULT_TOKEN", "create_mock", "describe_credentials", "mock", "start_server"]
