"""The services as real processes: `with session_svc(redis.url) as svc, gateway(svc.address, redis.url) as web: ...`."""

import asyncio
import http.client
import json
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Literal, Self

import grpc
from grpc_health.v1 import health_pb2
from support.child import Child, ChildFailedError
from support.running import inherited

INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")

Until = Literal["ready", "listening", "spawned"]


class Service(Child):
    """`python -m <module>` with a clean environment, its output in a file.

    Context manager, also `async with` (which does not block the event loop while it waits). `listen_variable` names
    the variable with the listen address; it is a free port unless the environment says otherwise. `until` says what
    entering waits for: `ready`, or only `listening` (for a service whose Redis is down), or nothing but the process.
    """

    def __init__(
        self, module: str, listen_variable: str, environment: Mapping[str, str], *, until: Until = "ready"
    ) -> None:
        clean = {**inherited(INHERITED), "PYTHONUNBUFFERED": "1", "LOG_FORMAT": "json"}
        super().__init__(
            module, [sys.executable, "-m", module], {**clean, listen_variable: "127.0.0.1:0", **environment}
        )
        self._listen_variable = listen_variable
        self._until = until
        self._address: str | None = None

    @property
    def address(self) -> str:
        """`host:port` that it listens on; the same after every start."""
        if self._address is None:
            raise ChildFailedError(f"{self.name} does not listen yet")
        return self._address

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log lines that are JSON objects, parsed."""
        return _json_lines(self.log)

    async def __aenter__(self) -> Self:
        try:
            await self.start_again()
        except BaseException as error:
            self._leave(error)
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._leave, exc)

    async def start_again(self) -> None:
        """As `start`, beside other tasks."""
        self.spawn()  # Here and not in a thread: the child ends with the thread that starts it.
        await asyncio.to_thread(self.wait)

    async def restart(self, grace: float) -> int:
        """Asks it to end, waits for that at most `grace` seconds, and starts it again; returns its exit status.

        Beside other tasks. Raises subprocess.TimeoutExpired when it does not end.
        """
        self.terminate(wait=False)
        status = await asyncio.to_thread(self.process.wait, grace)
        await self.start_again()
        return status

    def wait(self) -> None:
        """Waits as `until` says."""
        if self._until == "spawned":
            return
        self.until(self._announced_address, "it does not say that it listens")
        self._address = str(self._announced_address())
        self.environment[self._listen_variable] = self._address
        if self._until == "ready":
            self.wait_ready()

    def wait_ready(self) -> None:
        """Returns once it says that it is ready; raises ChildFailedError when that takes too long."""
        self.until(self.is_ready, "it is not ready")

    def is_ready(self) -> bool:
        """Whether it says now that it is ready: gRPC health SERVING, or 200 from /readyz."""
        return _http_ready(self.address) if self.name == "stream_gateway" else _grpc_ready(self.address)

    def _announced_address(self) -> str | None:
        lines = _json_lines(self.output)
        return next((str(line["address"]) for line in lines if line.get("event") == "listening"), None)


def session_svc(redis_url: str | None = None, *, until: Until = "ready", **environment: str) -> Service:
    """session-svc on a free port, on `redis_url`, or in memory without one."""
    return Service("session_svc", "SESSION_SVC_LISTEN", {**_storage(redis_url), **environment}, until=until)


def gateway(
    session_svc_address: str, redis_url: str | None = None, *, until: Until = "ready", **environment: str
) -> Service:
    """stream-gateway on a free port; without `redis_url` it follows sessions over gRPC."""
    settings = {"SESSION_SVC_ADDRESS": session_svc_address, **_storage(redis_url), **environment}
    return Service("stream_gateway", "GATEWAY_LISTEN", settings, until=until)


def _storage(redis_url: str | None) -> dict[str, str]:
    return {"REDIS_ENABLED": "false"} if redis_url is None else {"REDIS_URL": redis_url}


def _json_lines(text: str) -> list[dict[str, Any]]:
    """The objects among the complete lines of `text`."""
    found = []
    for line in text.split("\n")[:-1]:
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found


def _grpc_ready(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(), timeout=10)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _http_ready(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
