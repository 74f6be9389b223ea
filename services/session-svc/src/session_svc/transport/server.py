"""The gRPC server: what it serves and how it listens."""

import re
from collections.abc import Callable
from typing import Any, Final

import grpc
from aichat.session.v1 import session_service_pb2 as api
from aichat_runtime.settings import Address
from aichat_runtime.tls import RenewedPair
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from session_svc.domain.limits import FRAME_BYTES
from session_svc.transport.calls import Calls, Method
from session_svc.transport.health import Health
from session_svc.transport.servicer import SessionServicer
from session_svc.transport.streams import Capacity

SERVICE: Final = api.DESCRIPTOR.services_by_name["SessionService"]

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

_HANDLERS: Final[dict[tuple[bool, bool], Callable[..., "grpc.RpcMethodHandler[Any, Any]"]]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class ListenError(Exception):
    """The address cannot be listened on."""


def build(servicer: SessionServicer, calls: Calls, health: Health, capacity: Capacity) -> grpc.aio.Server:
    """A server of the session service, health and reflection, not listening yet."""
    begun = 2 * (capacity.calls + capacity.streams)
    """Also those that have not come whole yet; `calls` refuses more kindly those that have."""
    options = (
        ("grpc.max_allowed_incoming_connections", capacity.connections),
        # Else, when more than 1000 come in one turn of the event loop, it cancels some of them, whosever they are.
        ("grpc.server.max_pending_requests", begun),
        ("grpc.server.max_pending_requests_hard_limit", begun),
    )
    server = grpc.aio.server(options=(*_OPTIONS, *options), maximum_concurrent_rpcs=begun)
    handlers = {method.name: _handler(method, servicer, calls) for method in SERVICE.methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),))
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    names = (SERVICE.full_name, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
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


def _handler(method: MethodDescriptor, servicer: SessionServicer, calls: Calls) -> "grpc.RpcMethodHandler[Any, Any]":
    kind = method.client_streaming, method.server_streaming
    wraps: dict[tuple[bool, bool], Callable[..., Any]] = {
        (False, False): calls.unary,
        (False, True): calls.stream,
        (True, True): calls.conversation,
    }
    request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    return _HANDLERS[kind](
        wraps[kind](Method(method.name, request.FromString), getattr(servicer, _WORD.sub(r"_\1", method.name).lower())),
        request_deserializer=None,  # `Calls` reads them, once it knows who sends them.
        response_serializer=response.SerializeToString,
    )
