"""grpc.reflection.v1alpha: what tools like grpcurl ask to learn the API."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Final

from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from session_svc.domain.errors import Draining
from session_svc.transport.caller import Caller

SECONDS: Final = 60.0
"""How long one may look: whoever stays longer forgot to leave."""


class Reflection:
    """Answers for the services of these names."""

    def __init__(self, names: Sequence[str]) -> None:
        self._servicer = reflection.aio.ReflectionServicer(names)

    async def answer(
        self, requests: AsyncIterator[ServerReflectionRequest], _: Caller
    ) -> AsyncGenerator[ServerReflectionResponse, None]:
        """Raises Draining when it takes too long."""
        until = asyncio.get_running_loop().time() + SECONDS
        responses: AsyncGenerator[ServerReflectionResponse, None]
        # It is a generator, which its annotation does not say.
        responses = self._servicer.ServerReflectionInfo(requests, None)  # type: ignore[assignment]
        async with aclosing(responses) as answers:
            while True:
                try:
                    async with asyncio.timeout_at(until):
                        answer = await anext(answers)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    raise Draining(0.0, f"this took longer than {SECONDS:.0f} s; ask again") from None
                yield answer
