"""Every method of the session service by its descriptor, so that a test of all of them cannot forget a new one."""

from collections.abc import Iterable
from typing import Final

import grpc
from aichat.session.v1 import session_service_pb2 as api
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

SERVICE: Final = api.DESCRIPTOR.services_by_name["SessionService"]
METHODS: Final[tuple[MethodDescriptor, ...]] = tuple(SERVICE.methods)
SECONDS: Final = 60.0

_SESSION_FIELDS: Final = {"session", "name"}


def request_for(method: MethodDescriptor, session: str) -> tuple[Message, bool]:
    """The least request that names `session`, and whether one of this method can name one."""
    request = GetMessageClass(method.input_type)()
    return request, _name(request, session)


def _name(message: Message, session: str) -> bool:
    for field in message.DESCRIPTOR.fields:
        if field.name in _SESSION_FIELDS and field.type == FieldDescriptor.TYPE_STRING:
            setattr(message, field.name, session)
            return True
    return any(
        _name(getattr(message, field.name), session)
        for field in message.DESCRIPTOR.fields
        if field.name == "start" and field.message_type is not None
    )


def call(
    channel: grpc.Channel,
    method: MethodDescriptor,
    requests: Iterable[bytes],
    metadata: tuple[tuple[str, str | bytes], ...] = (),
    *,
    seconds: float = SECONDS,
) -> bytes | None:
    """Makes a call with these requests as they are on the wire; returns its first response, None when there is none.

    A watch is left after that; a conversation is read to its end. Raises grpc.RpcError.
    """
    path = f"/{SERVICE.full_name}/{method.name}"
    if not method.server_streaming:
        unary: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
        [request] = requests
        return unary(request, metadata=metadata, timeout=seconds)
    streaming: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path)
    stream = streaming(iter(requests), metadata=metadata, timeout=seconds)
    try:
        first = next(stream, None)
        if method.client_streaming:
            for _ in stream:
                pass
        return first
    finally:
        stream.cancel()
