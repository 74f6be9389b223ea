"""A session service that says what a test tells it to: for faults that the real one cannot be made to have."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2_grpc as api_grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message as ProtoMessage
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # Published without types.

Context = grpc.aio.ServicerContext[Any, Any]
Unary = Callable[[Any, Any], Awaitable[Any]]
Watch = Callable[[Any, Any], AsyncIterator[Any]]


def service(**rpcs: Unary | Watch) -> api_grpc.SessionServiceServicer:
    """A servicer of which only the given RPCs exist."""
    members = {name: staticmethod(behaviour) for name, behaviour in rpcs.items()}
    base = {name: _unimplemented for name in vars(api_grpc.SessionServiceServicer) if name[0].isupper()}
    servicer: api_grpc.SessionServiceServicer = type("Scripted", (api_grpc.SessionServiceServicer,), base | members)()
    return servicer


async def _unimplemented(_self: object, _request: object, context: Context) -> None:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not in this script")


@asynccontextmanager
async def serving(address: str = "127.0.0.1:0", /, **rpcs: Unary | Watch) -> AsyncGenerator[str, None]:
    """Serves the RPCs, on a free port unless `address` names one; yields host:port."""
    server = grpc.aio.server()
    api_grpc.add_SessionServiceServicer_to_server(service(**rpcs), server)
    port = server.add_insecure_port(address)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def refuse(
    context: Context,
    code: grpc.StatusCode,
    reason: str,
    message: str = "no",
    *,
    metadata: dict[str, str] | None = None,
    retry_after: float | None = None,
    field: str | None = None,
) -> None:
    """Ends a call as the real service does: with google.rpc details."""
    status = status_pb2.Status(code=code.value[0], message=message)
    _add(status, error_details_pb2.ErrorInfo(reason=reason, domain="aichat", metadata=metadata or {}))
    if retry_after is not None:
        delay = duration_pb2.Duration(nanos=int(retry_after * 1e9))
        _add(status, error_details_pb2.RetryInfo(retry_delay=delay))
    if field is not None:
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=message)
        _add(status, error_details_pb2.BadRequest(field_violations=[violation]))
    await context.abort(code, message, (("grpc-status-details-bin", status.SerializeToString()),))


def _add(status: status_pb2.Status, detail: ProtoMessage) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)


def message(sequence: int, text: str = "") -> model.Message:
    """A message as the service sends it."""
    return model.Message(id=f"m{sequence}", sequence=sequence, role=model.ROLE_USER, content=text or f"text {sequence}")
