"""docker-compose.yml brought up for real: a project, ports and volume of its own."""

import json
import os
import shutil
import signal
import subprocess
import uuid
from types import TracebackType
from typing import Any, Final, Self

from aichat_dev.embedded_redis import free_port
from support.product import ROOT
from support.until import until

UP_SECONDS: Final = 600.0
HEALTHY_SECONDS: Final = 90.0
INHERITED: Final = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "XDG_RUNTIME_DIR")


def engine_problem() -> str | None:
    """Why containers cannot be run here; None when they can."""
    if shutil.which("docker") is None:
        return "Docker (no docker on PATH)"
    for command, what in (
        (["docker", "info"], "a running Docker engine"),
        (["docker", "compose", "version"], "Docker compose v2"),
    ):
        try:
            done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            return f"{what} (`{' '.join(command)}` does not answer)"
        if done.returncode:
            return f"{what} (`{' '.join(command)}` fails)"
    return None


class Stack:
    """Context manager: all containers built, started and healthy; removed with their data at the end.

    `settings` are variables of .env.example. Ports are free ones, on 127.0.0.1.
    """

    def __init__(self, **settings: str) -> None:
        self.project = f"aichat-test-{uuid.uuid4().hex[:8]}"
        self.server = f"127.0.0.1:{free_port()}"
        self.page = f"http://127.0.0.1:{free_port()}/"
        self._environment = {
            **{name: os.environ[name] for name in INHERITED if name in os.environ},
            "SESSION_SVC_PORT": self.server.rpartition(":")[2],
            "GATEWAY_PORT": self.page.rstrip("/").rpartition(":")[2],
            "ASSISTANT_REPLICAS": "0",  # Nobody answers: what a test writes is then all there is.
            **settings,
        }

        self._command = ("docker", "compose", "--project-name", self.project, "--env-file", os.devnull)

    def __enter__(self) -> Self:
        try:
            self.up()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is not None:
            exc.add_note(self._logs())
        self._remove()

    def up(self) -> None:
        """Builds and starts everything, and waits until all is healthy."""
        done = self.compose("up", "--build", "--detach", "--wait", "--wait-timeout", "180", check=False)
        assert done.returncode == 0, f"docker compose up: {done.stdout[-4000:]}\n{self._logs()}"

    def down(self) -> None:
        """Stops and removes the containers; the data stays."""
        self.compose("down")

    def compose(self, *arguments: str, check: bool = True, **settings: str) -> subprocess.CompletedProcess[str]:
        """`docker compose` of this project; `settings` are added to its environment. Output holds both streams."""
        done = subprocess.run(
            [*self._command, *arguments],
            env={**self._environment, **settings},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=UP_SECONDS,
            check=False,
        )
        assert not (check and done.returncode), f"docker compose {arguments}: {done.stdout[-4000:]}"
        return done

    def pipe(self, *arguments: str, feed: bytes = b"", check: bool = True) -> bytes:
        """As `compose`, for data: `feed` is its input. Returns its output; where it may fail, both streams."""
        done = subprocess.run(
            [*self._command, *arguments],
            env=self._environment,
            cwd=ROOT,
            input=feed,
            capture_output=True,
            timeout=UP_SECONDS,
            check=False,
        )
        assert not (check and done.returncode), f"{arguments}: {done.stderr.decode(errors='replace')}"
        return done.stdout if check else done.stdout + done.stderr

    def inspect(self, service: str) -> dict[str, Any]:
        """What `docker inspect` says of the service's container, a stopped one too."""
        container = self.compose("ps", "--all", "--quiet", service).stdout.strip()
        done = subprocess.run(["docker", "inspect", container], capture_output=True, text=True, timeout=60, check=True)
        described: dict[str, Any] = json.loads(done.stdout)[0]
        return described

    def kill(self, service: str) -> None:
        """Kills the service's process as the kernel would (SIGKILL), so that the restart policy has to bring it back.

        `docker kill` would count as the user's own stop, which is never followed by a restart; it is used only where
        the process is out of our reach, and then the container is started again here.
        """
        state = self.inspect(service)["State"]
        try:
            os.kill(state["Pid"], signal.SIGKILL)
        except (PermissionError, ProcessLookupError):
            self.compose("kill", "--signal", "KILL", service)
            self.compose("start", service)
        until(
            lambda: self.inspect(service)["State"]["StartedAt"] != state["StartedAt"],
            timeout=HEALTHY_SECONDS,
            what=f"the restart of {service}",
        )

    def wait_healthy(self) -> None:
        """Returns once every container is healthy."""
        until(self._is_healthy, timeout=HEALTHY_SECONDS, what="the health of all containers")

    def _is_healthy(self) -> bool:
        services = ("redis", "session-svc", "stream-gateway")
        return all(self.inspect(service)["State"]["Health"]["Status"] == "healthy" for service in services)

    def _logs(self) -> str:
        shown = self.compose("logs", "--no-color", "--tail", "60", check=False).stdout
        return f"--- docker compose logs:\n{shown[-12000:]}"

    def _remove(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)
