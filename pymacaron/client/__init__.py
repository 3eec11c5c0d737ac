"""Calls services by their documents: ``Client("apis/pets.yaml", "https://pets.example.com").get_pet(pet_id=3)``."""

from pymacaron.client.answers import Answer
from pymacaron.client.caller import Client, ClientOptions, TypedClient
from pymacaron.client.classic import ClassicClient
from pymacaron.client.contents import FileContent
from pymacaron.client.streams import ReceivedEvent, Stream
from pymacaron.client.wire import HttpRequest, HttpResponse, Patience, Transport

__all__ = [
    "Answer",
    "ClassicClient",
    "Client",
    "ClientOptions",
    "FileContent",
    "HttpRequest",
    "HttpResponse",
    "Patience",
    "ReceivedEvent",
    "Stream",
    "Transport",
    "TypedClient",
]
