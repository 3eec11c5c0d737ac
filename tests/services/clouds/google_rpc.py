"""A gRPC server of Google's own message classes on a free port: methods by name, and operations to poll."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import grpc
from google.longrunning import operations_pb2

Call = Callable[[Any], Any]


class Refusal(Exception):  # noqa: N818 - what the server answers, not what is broken
    """An answer with a status other than OK."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        """Take the gRPC status and its message."""
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a Google interface. request: its class, of protobuf or proto-plus. call: request -> answer."""

    request: Any
    call: Call


class GoogleRpcServer:
    """Serves methods by their full names. requests: (method, bytes) of everything that was asked, in order."""

    def __init__(self, methods: dict[str, Method]) -> None:
        """Listen on a free port of loopback."""
        self.requests: list[tuple[str, bytes]] = []
        self._methods = methods
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
        self._server.add_generic_rpc_handlers((_Handler(self),))
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    @property
    def endpoint(self) -> str:
        """Return ``http://127.0.0.1:PORT``, as gcp_endpoints has it."""
        return f"http://127.0.0.1:{self._port}"

    def find(self, name: str) -> Method | None:
        """Return the method called ``/package.Interface/Method``."""
        return self._methods.get(name)

    def stop(self) -> None:
        """Stop answering."""
        self._server.stop(grace=0.2).wait()


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, server: GoogleRpcServer) -> None:
        self._server = server

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        name = handler_call_details.method
        method = self._server.find(name)
        if method is None:
            return None

        def read(data: bytes) -> Any:
            self._server.requests.append((name, data))
            kind = method.request
            return kind.deserialize(data) if hasattr(kind, "deserialize") else kind.FromString(data)

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return method.call(request)
            except Refusal as refusal:
                context.abort(refusal.code, refusal.text)

        return grpc.unary_unary_rpc_method_handler(answer, request_deserializer=read, response_serializer=_write)


def _write(message: Any) -> bytes:
    data: bytes = (
        type(message).serialize(message) if hasattr(type(message), "serialize") else message.SerializeToString()
    )
    return data


class Operations:
    """Long-running operations: each runs in a thread of its own, and is polled until it is done."""

    def __init__(self) -> None:
        """Begin without any."""
        self._operations: dict[str, operations_pb2.Operation] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def methods(self) -> dict[str, Method]:
        """Return the methods of google.longrunning.Operations that clients poll with."""
        get = Method(operations_pb2.GetOperationRequest, lambda request: self._get(request.name))
        return {"/google.longrunning.Operations/GetOperation": get}

    def start(self, parent: str, work: Callable[[], Any]) -> operations_pb2.Operation:
        """Run *work* and return its operation; what it returns, a proto-plus message, is the answer."""
        with self._lock:
            operation = operations_pb2.Operation(name=f"{parent}/operations/{len(self._operations)}")
            self._operations[operation.name] = operation
        thread = threading.Thread(target=self._run, args=(operation, work), daemon=True)
        self._threads.append(thread)
        thread.start()
        return operation

    def finish(self, parent: str, message: Any) -> operations_pb2.Operation:
        """Return an operation that is done at once."""
        operation = operations_pb2.Operation(name=f"{parent}/operations/{len(self._operations)}", done=True)
        operation.response.Pack(type(message).pb(message))
        self._operations[operation.name] = operation
        return operation

    def join(self) -> None:
        """Wait until nothing runs."""
        for thread in self._threads:
            thread.join(timeout=60)

    def _run(self, operation: operations_pb2.Operation, work: Callable[[], Any]) -> None:
        done = operations_pb2.Operation(name=operation.name, done=True)
        try:
            message = work()
            done.response.Pack(type(message).pb(message))
        except Refusal as refusal:
            done.error.code, done.error.message = refusal.code.value[0], refusal.text
        with self._lock:
            self._operations[operation.name] = done

    def _get(self, name: str) -> operations_pb2.Operation:
        if name not in self._operations:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"no operation {name}")
        return self._operations[name]
