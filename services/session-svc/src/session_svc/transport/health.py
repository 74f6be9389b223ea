"""grpc.health.v1: whether calls can be served, and whether the process runs."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from session_svc.transport.caller import Caller
from session_svc.transport.errors import PlainFailure

READY: Final = ""
LIVE: Final = "live"


class Health:
    """Answers Check and Watch for "" (ready), the service's own name (the same) and `live` (the process runs).

    A watcher that does not read keeps nobody waiting: `set_ready` is told to none of them, they look.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._statuses: dict[str, int] = {READY: HealthCheckResponse.NOT_SERVING}
        self._changed = asyncio.Event()
        self._stopping = False

    def begin(self) -> None:
        """Alive, but not ready yet."""
        self._statuses[LIVE] = HealthCheckResponse.SERVING
        self.set_ready(False)

    def set_ready(self, ready: bool) -> None:
        """Whether calls can be served; never again after `stop`."""
        status = HealthCheckResponse.SERVING if ready and not self._stopping else HealthCheckResponse.NOT_SERVING
        self._statuses[READY] = self._statuses[self._service] = status
        self._changed.set()
        self._changed = asyncio.Event()

    def stop(self) -> None:
        """Not ready, for good."""
        self._stopping = True
        self.set_ready(False)

    async def check(self, request: HealthCheckRequest, _: Caller) -> HealthCheckResponse:
        """The status now. Raises PlainFailure for what is not served here."""
        status = self._statuses.get(request.service)
        if status is None:
            raise PlainFailure(grpc.StatusCode.NOT_FOUND, "no such service here")
        return HealthCheckResponse(status=status)

    async def watch(self, request: HealthCheckRequest, _: Caller) -> AsyncGenerator[HealthCheckResponse, None]:
        """The status now, and whenever it has become another one."""
        told: int | None = None
        while True:
            changed = self._changed
            status = self._statuses.get(request.service, HealthCheckResponse.SERVICE_UNKNOWN)
            if status != told:
                told = status
                yield HealthCheckResponse(status=status)
            else:
                await changed.wait()
