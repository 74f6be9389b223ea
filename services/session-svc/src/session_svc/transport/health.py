"""grpc.health.v1: whether calls can be served, and whether the process runs."""

from typing import Final

from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

READY: Final = ""
LIVE: Final = "live"

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """Answers Check and Watch for "" (ready), the service's own name (the same) and `live` (the process runs)."""

    def __init__(self, service: str) -> None:
        self.servicer = HealthServicer()
        self._service = service
        self._stopping = False

    async def begin(self) -> None:
        """Alive, but not ready yet."""
        await self.servicer.set(LIVE, _SERVING)
        await self.set_ready(False)

    async def set_ready(self, ready: bool) -> None:
        """Whether calls can be served; never again after `stop`."""
        status = _SERVING if ready and not self._stopping else _NOT_SERVING
        for name in (READY, self._service):
            await self.servicer.set(name, status)

    async def stop(self) -> None:
        """Not ready, for good."""
        self._stopping = True
        await self.set_ready(False)
