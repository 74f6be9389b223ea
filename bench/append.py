"""What AppendMessages of one message costs session-svc, against an empty call on a bare grpc.aio server."""

from typing import Final

import grpc
from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub

from bench.figure import Figure
from bench.load import Load, cpu_microseconds
from bench.processes import bare, redis_server, session_svc

IN_FLIGHT: Final = 64
ROUNDS: Final = 9
CALLS: Final = 4000
TARGET: Final = 1.25


async def measure() -> Figure:
    """Both servers in processes of their own, Redis in a third; each caller writes to a session of its own."""
    with redis_server() as redis, session_svc(redis) as service, bare() as yardstick:
        async with (
            grpc.aio.insecure_channel(service.address) as channel,
            grpc.aio.insecure_channel(yardstick.address) as bare_channel,
        ):
            stub = SessionServiceStub(channel)
            requests = [
                api.AppendMessagesRequest(
                    session=f"bench-{number}", messages=[pb.Message(role=pb.ROLE_USER, content="How do I sort a list?")]
                )
                for number in range(IN_FLIGHT)
            ]
            empty: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = bare_channel.unary_unary("/bench.Bare/Call")
            loads = {
                "append": Load(service, lambda number: stub.AppendMessages(requests[number])),
                "bare": Load(yardstick, lambda _: empty(b"")),
            }
            cost = await cpu_microseconds(loads, rounds=ROUNDS, calls=CALLS, in_flight=IN_FLIGHT)
    return Figure("AppendMessages of one message / empty unary call", cost["append"], cost["bare"], TARGET)
