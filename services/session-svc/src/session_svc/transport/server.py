"""The gRPC server: what it serves and how it listens."""

import asyncio
import re
from collections.abc import Callable
from typing import Any, Final

import grpc
from aichat.session.v1 import session_service_pb2 as api
from aichat_runtime.address import Address
from aichat_runtime.tls import RenewedPair
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from session_svc.domain.limits import FRAME_BYTES
from session_svc.transport import rpc
from session_svc.transport.access import TABLE
from session_svc.transport.calls import Calls, Method
from session_svc.transport.capacity import Capacity
from session_svc.transport.health import Health
from session_svc.transport.reflection import Reflection
from session_svc.transport.servicer import SessionServicer

SERVICE: Final = api.DESCRIPTOR.services_by_name["SessionService"]
HEALTH: Final[ServiceDescriptor] = health_pb2.DESCRIPTOR.services_by_name["Health"]  # type: ignore[assignment]  # The same, as its stubs call it.
REFLECTION: Final[ServiceDescriptor] = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]  # type: ignore[assignment]  # As above.

METADATA_BYTES: Final = 16 * 1024

_WORD: Final = re.compile(r"(?<!^)([A-Z])")

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", FRAME_BYTES),
    ("grpc.so_reuseport", 0),  # Else two servers on one port share its calls instead of the second one failing.
    # Dead watchers are noticed within 40 s, and clients may look after their own connections.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    # A token of an identity provider may be long; nothing else in metadata is. What is longer is refused unread.
    ("grpc.max_metadata_size", METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", METADATA_BYTES + METADATA_BYTES // 4),
)


class ListenError(Exception):
    """The address cannot be listened on."""


def build(servicer: SessionServicer, calls: Calls, health: Health, capacity: Capacity) -> grpc.aio.Server:
    """A server of the session service, health and reflection, not listening yet. Call it in the loop that serves."""
    begun = 2 * (capacity.calls + capacity.streams)
    """Also those that are being refused; `calls` does that more kindly."""
    options = (
        ("grpc.max_allowed_incoming_connections", capacity.connections),
        # Else, when more than 1000 come in one turn of the event loop, it cancels some of them, whosever they are.
        ("grpc.server.max_pending_requests", begun),
        ("grpc.server.max_pending_requests_hard_limit", begun),
    )
    rpc.find_keepers(asyncio.get_running_loop())
    server = grpc.aio.server(options=(*_OPTIONS, *options), maximum_concurrent_rpcs=begun)
    look = Reflection((SERVICE.full_name, HEALTH.full_name, REFLECTION.full_name))
    services: tuple[tuple[ServiceDescriptor, dict[str, Callable[..., Any]]], ...] = (
        (SERVICE, {method.name: getattr(servicer, _snake(method.name)) for method in SERVICE.methods}),
        (HEALTH, {"Check": health.check, "Watch": health.watch}),
        (REFLECTION, {"ServerReflectionInfo": look.answer}),
    )
    for service, handlers in services:
        wrapped = {name: _handler(service.methods_by_name[name], handler, calls) for name, handler in handlers.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, wrapped),))
    return server


def listen(server: grpc.aio.Server, address: Address, pair: RenewedPair | None = None) -> Address:
    """Makes `server` listen, with TLS if there is a `pair`; returns the address with the port that was found.

    Raises ListenError.
    """
    try:
        if pair is None:
            return Address(address.host, server.add_insecure_port(str(address)))
        return Address(address.host, server.add_secure_port(str(address), _credentials(pair)))
    except RuntimeError as error:
        raise ListenError(f"cannot listen on {address}: is another program using it?") from error


def _credentials(pair: RenewedPair) -> grpc.ServerCredentials:
    def configuration() -> grpc.ServerCertificateConfiguration:
        current = pair.get()
        return grpc.ssl_server_certificate_configuration([(current.key, current.certificate)])

    return grpc.dynamic_ssl_server_credentials(configuration(), configuration)


def _handler(method: MethodDescriptor, handler: Callable[..., Any], calls: Calls) -> "grpc.RpcMethodHandler[Any, Any]":
    """Each reads its requests itself, so that it begins with the headers: `calls` counts and judges who sends them."""
    request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    needs = TABLE[method.name] if method.containing_service is SERVICE else None
    read = Method(method.name, needs, request.FromString)
    if not method.server_streaming:
        return grpc.stream_unary_rpc_method_handler(calls.unary(read, handler), None, response.SerializeToString)
    wrap: Callable[..., Any] = calls.conversation if method.client_streaming else calls.stream
    return grpc.stream_stream_rpc_method_handler(wrap(read, handler), None, response.SerializeToString)


def _snake(name: str) -> str:
    return _WORD.sub(r"_\1", name).lower()
