"""Redis, two session-svc and two gateways as real processes, and what they hold on to."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import psutil
from support.processes import Service, gateway, session_svc
from support.redis_server import RedisServer

REPLICAS: Final = 2
MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Holding:
    """What one process has: resident memory in bytes, open file descriptors."""

    memory: int
    descriptors: int


class Deployment:
    """Async context manager. `services`: everything that can be killed but Redis, by name."""

    def __init__(self) -> None:
        self.redis = RedisServer()
        self.services: dict[str, Service] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.enter_context(self.redis)
        try:
            for number in range(1, REPLICAS + 1):
                service = await self._stack.enter_async_context(session_svc(self.redis.url))
                self.services[f"session-svc-{number}"] = service
            for number in range(1, REPLICAS + 1):
                # All viewers come from one address, as no thousand people do.
                web = gateway(self.grpc_target, self.redis.url, LIMIT_ADDRESS_REQUESTS="0", LIMIT_ADDRESS_STREAMS="0")
                self.services[f"stream-gateway-{number}"] = await self._stack.enter_async_context(web)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(exc_type, exc, traceback)

    @property
    def grpc_target(self) -> str:
        """All session-svc, for a gRPC client."""
        return "ipv4:" + ",".join(self._addresses("session-svc"))

    @property
    def gateways(self) -> list[str]:
        """host:port of every gateway."""
        return self._addresses("stream-gateway")

    @property
    def names(self) -> list[str]:
        """All that can be killed."""
        return ["redis", *self.services]

    async def kill(self, name: str) -> None:
        """Kills one as a crash would, and starts it again; returns once it is ready."""
        if name == "redis":
            self.redis.kill()
            self.redis.start()
        else:
            self.services[name].kill()
            await self.services[name].start_again()

    def holdings(self) -> dict[str, Holding]:
        """What each process has now."""
        pids = {"redis": self.redis.pid} | {name: service.process.pid for name, service in self.services.items()}
        found = {}
        for name, pid in pids.items():
            process = psutil.Process(pid)
            found[name] = Holding(process.memory_info().rss, process.num_fds())
        return found

    def _addresses(self, kind: str) -> list[str]:
        return [service.address for name, service in self.services.items() if name.startswith(kind)]
