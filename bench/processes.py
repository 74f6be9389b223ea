"""The servers that are measured, each a process of its own."""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from aichat_dev.embedded_redis import EmbeddedRedis
from aichat_dev.spawn import kill, spawn

_START_SECONDS: Final = 30.0
_BARE: Final = Path(__file__).with_name("bare_server.py")
_ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens at `address`; `processes` are all that work for it."""

    address: str
    processes: Sequence[psutil.Process]

    @property
    def pids(self) -> list[int]:
        """The ids of its processes."""
        return [process.pid for process in self.processes]

    def cpu_seconds(self) -> float:
        """The processor time that it has used so far, user and system."""
        times = [process.cpu_times() for process in self.processes]
        return sum(each.user + each.system for each in times)


@contextmanager
def bare() -> Iterator[Server]:
    """A grpc.aio server with nothing behind it."""
    with _running([sys.executable, str(_BARE)], {}) as (process, address):
        yield Server(address, (process,))


@contextmanager
def session_svc(redis: EmbeddedRedis, *, with_redis: bool = False) -> Iterator[Server]:
    """session-svc on `redis`; `with_redis` counts what Redis does for it as its own."""
    environment = {"REDIS_URL": redis.url, "SESSION_SVC_LISTEN": "127.0.0.1:0", "LOG_FORMAT": "json"}
    with _running([sys.executable, "-m", "session_svc"], environment) as (process, address):
        yield Server(address, (process, psutil.Process(redis.process.pid)) if with_redis else (process,))


@contextmanager
def stream_gateway(redis: EmbeddedRedis, service: Server) -> Iterator[Server]:
    """stream-gateway on `redis` and `service`, ready to serve."""
    environment = {
        "REDIS_URL": redis.url,
        "SESSION_SVC_ADDRESS": service.address,
        "GATEWAY_LISTEN": "127.0.0.1:0",
        "LOG_FORMAT": "json",
    }
    with _running([sys.executable, "-m", "stream_gateway"], environment) as (process, address):
        _wait_until_ready(address)
        yield Server(address, (process,))


@contextmanager
def queue_peer(redis: EmbeddedRedis) -> Iterator[Server]:
    """The plain server that the fan-out is compared with, on `redis`."""
    environment = {"REDIS_URL": redis.url, "PYTHONPATH": str(_ROOT)}
    with _running([sys.executable, "-m", "bench.fanout.queue_peer"], environment) as (process, address):
        yield Server(address, (process,))


@contextmanager
def redis_server(options: Mapping[str, str] | None = None) -> Iterator[EmbeddedRedis]:
    """A durable server with an empty memory; `options` as in redis.conf."""
    with (
        tempfile.TemporaryDirectory(prefix="aichat-bench-") as directory,
        EmbeddedRedis(Path(directory), options=options) as redis,
    ):
        yield redis


@contextmanager
def _running(command: Sequence[str], environment: dict[str, str]) -> Iterator[tuple[psutil.Process, str]]:
    with tempfile.NamedTemporaryFile(prefix="aichat-bench-log-") as log:
        process = spawn(command, output=log.file, environment={**_inherited(), **environment})
        try:
            yield psutil.Process(process.pid), _address(process, Path(log.name))
        finally:
            kill(process)


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines(keepends=True):
            if '"listening"' in line and line.endswith("\n"):
                return str(json.loads(line)["address"])
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen; its log:\n{log.read_text(encoding='utf-8')}")


def _wait_until_ready(address: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(address, timeout=_START_SECONDS)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        finally:
            connection.close()
        time.sleep(0.02)
    raise RuntimeError(f"the server at {address} does not get ready")
