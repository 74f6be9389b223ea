"""The services as real processes: `with session_svc(redis.url) as svc, gateway(svc.address, redis.url) as web: ...`."""

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import grpc
from aichat_dev.spawn import end, kill, spawn
from grpc_health.v1 import health_pb2

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 15.0
INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
"""What a service gets of this process's environment: no setting of the developer's machine may change a test."""

Until = Literal["ready", "listening", "spawned"]


class ServiceFailedError(AssertionError):
    """A service ended, or did not get ready in time; the text holds the end of its log."""


class Service:
    """`python -m <module>` with a clean environment, its output in a file.

    Context manager, also `async with` (which does not block the event loop while it waits). `listen_variable` names
    the variable with the listen address; it is a free port unless the environment says otherwise. `until` says what
    entering waits for: `ready`, or only `listening` (for a service whose Redis is down), or nothing but the process.
    """

    def __init__(
        self, module: str, listen_variable: str, environment: Mapping[str, str], *, until: Until = "ready"
    ) -> None:
        self.module = module
        self._listen_variable = listen_variable
        self._environment = {listen_variable: "127.0.0.1:0", "LOG_FORMAT": "json", **environment}
        self._until = until
        self._directory = tempfile.TemporaryDirectory(prefix=f"aichat-{module}-")
        self._log_path = Path(self._directory.name) / "log"
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._address: str | None = None

    @property
    def address(self) -> str:
        """`host:port` that it listens on; the same after every start."""
        if self._address is None:
            raise ServiceFailedError(f"{self.module} does not listen yet")
        return self._address

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running (or last) process."""
        if self._process is None:
            raise ServiceFailedError(f"{self.module} was not started")
        return self._process

    @property
    def log(self) -> str:
        """What it has printed, over all its starts."""
        return self._log_path.read_text(encoding="utf-8", errors="replace") if self._log_path.exists() else ""

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log lines that are JSON objects, parsed."""
        return _json_lines(self.log)

    def __enter__(self) -> Self:
        try:
            self._spawn()
            self._wait()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is not None:
            exc.add_note(f"--- {self.module}:\n{self.log[-6000:]}")
        self._clean_up()

    async def __aenter__(self) -> Self:
        try:
            await self.start_again()
        except BaseException:
            self._clean_up()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is not None:
            exc.add_note(f"--- {self.module}:\n{self.log[-6000:]}")
        await asyncio.to_thread(self._clean_up)

    def start(self) -> None:
        """Starts it again on the same address, after `kill` or `terminate`; waits as entering does."""
        self._spawn()
        self._wait()

    async def start_beside(self) -> None:
        """As `start`, beside other tasks."""
        self._spawn()
        await asyncio.to_thread(self._wait)

    async def restart(self, grace: float) -> int:
        """Asks it to end, waits for that at most `grace` seconds, and starts it again; returns its exit status.

        Beside other tasks. Raises subprocess.TimeoutExpired when it does not end.
        """
        self.terminate(wait=False)
        status = await asyncio.to_thread(self.process.wait, grace)
        await self.start_beside()
        return status

    async def start_again(self) -> None:
        """As `start`, without blocking the event loop."""
        self._spawn()  # Here and not in a thread: the child ends with the thread that starts it.
        await asyncio.to_thread(self._wait)

    def kill(self) -> None:
        """Ends it as a crash would (SIGKILL)."""
        kill(self.process)

    def terminate(self, *, wait: bool = True) -> None:
        """Asks it to drain and end (SIGTERM), and by default waits until it has."""
        if wait:
            end(self.process, grace=STOP_SECONDS)
        else:
            self.process.send_signal(signal.SIGTERM)

    def wait_ready(self, timeout: float = START_SECONDS) -> None:
        """Returns once it says that it is ready; raises ServiceFailedError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            self._check(deadline, "is not ready")
            time.sleep(0.02)

    def is_ready(self) -> bool:
        """Whether it says now that it is ready: gRPC health SERVING, or 200 from /readyz."""
        return _http_ready(self.address) if self.module == "stream_gateway" else _grpc_ready(self.address)

    def _spawn(self) -> None:
        self._log_start = self._log_path.stat().st_size if self._log_path.exists() else 0
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        with self._log_path.open("ab") as output:
            self._process = spawn(
                [sys.executable, "-m", self.module],
                output=output,
                environment={**inherited, "PYTHONUNBUFFERED": "1", **self._environment},
                directory=Path(self._directory.name),
            )

    def _wait(self) -> None:
        if self._until == "spawned":
            return
        deadline = time.monotonic() + START_SECONDS
        while (address := self._announced_address()) is None:
            self._check(deadline, "does not say that it listens")
            time.sleep(0.02)
        self._address = address
        self._environment[self._listen_variable] = address
        if self._until == "ready":
            self.wait_ready(deadline - time.monotonic())

    def _announced_address(self) -> str | None:
        with self._log_path.open("rb") as log:
            log.seek(self._log_start)
            lines = _json_lines(log.read().decode("utf-8", "replace"))
        return next((str(line["address"]) for line in lines if line.get("event") == "listening"), None)

    def _check(self, deadline: float, failure: str) -> None:
        if self.process.poll() is not None:
            failure = f"ended with status {self.process.returncode}"
        elif time.monotonic() < deadline:
            return
        raise ServiceFailedError(f"{self.module} {failure}; its log:\n{self.log[-6000:]}")

    def _clean_up(self) -> None:
        if self._process is not None:
            kill(self._process)
        self._directory.cleanup()


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
            answer = check(health_pb2.HealthCheckRequest(), timeout=2)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _http_ready(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
