"""The programs that a run consists of, each startable again after its end."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Final, Protocol

from aichat_dev.embedded_redis import EmbeddedRedis
from aichat_dev.output import Output
from aichat_dev.spawn import end, kill_without_waiting, spawn

HEALTH_SECONDS: Final = 10.0


class Program(Protocol):
    """One child process of the run."""

    name: str

    def start(self) -> None:
        """Starts it; raises DirectoryInUseError, EmbeddedRedisError or OSError when that fails."""

    def status(self) -> int | None:
        """The exit status of the ended program (negative: the signal that killed it), None while it runs."""

    def is_ready(self) -> bool:
        """Whether it can do its work now."""

    def stop(self) -> None:
        """Ends it in order, and waits for that a bounded time."""

    def kill(self) -> None:
        """Ends it at once, without waiting for that: called in a signal handler."""


class RedisProgram:
    """The embedded Redis."""

    name = "redis"

    def __init__(self, server: EmbeddedRedis) -> None:
        self._server = server

    def start(self) -> None:
        """Starts it, and returns when it answers."""
        self._server.start()

    def status(self) -> int | None:
        """See Program."""
        return self._server.process.poll()

    def is_ready(self) -> bool:
        """Always: `start` has waited for it."""
        return self.status() is None

    def stop(self) -> None:
        """See Program."""
        self._server.stop()

    def kill(self) -> None:
        """See Program."""
        kill_without_waiting(self._server.process)


class ServiceProgram:
    """One of our services: `python -m module`, its lines on `output`, its readiness from its own `health` command."""

    def __init__(self, name: str, module: str, environment: Mapping[str, str], *, grace: float, output: Output) -> None:
        self.name = name
        self._command = [sys.executable, "-m", module]
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
        self._grace = grace
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and returns at once."""
        self._process = spawn(self._command, output=subprocess.PIPE, environment=self._environment)
        assert self._process.stdout is not None  # noqa: S101 - Popen's contract for PIPE.
        self._lines = self._output.follow(self.name, self._process.stdout)

    def status(self) -> int | None:
        """See Program. Once it has ended, all that it said is printed."""
        if self._process is None or self._process.poll() is None:
            return None
        self._lines.join(timeout=1)  # A grandchild could hold the pipe open.
        return self._process.returncode

    def is_ready(self) -> bool:
        """Whether `python -m module health` says so."""
        try:
            check = subprocess.run(
                [*self._command, "health"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=HEALTH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        return check.returncode == 0

    def stop(self) -> None:
        """See Program."""
        if self._process is not None:
            end(self._process, grace=self._grace)
            self._lines.join(timeout=1)

    def kill(self) -> None:
        """See Program."""
        if self._process is not None:
            kill_without_waiting(self._process)
