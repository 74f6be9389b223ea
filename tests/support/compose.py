"""Compose files brought up for real: a project, ports and volumes of their own."""

import json
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aichat_dev.embedded_redis import free_port
from support.product import ROOT
from support.running import Running, inherited
from support.until import until

UP_SECONDS: Final = 600.0
HEALTHY_SECONDS: Final = 180.0
LAST_CHARACTERS: Final = 12000
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


class Project(Running):
    """Context manager: a compose project of its own name in `directory`, up and healthy; removed with its data.

    `options` of `docker compose` itself; `settings` are variables of .env.example.
    """

    name = "docker compose logs"

    def __init__(self, directory: Path, *options: str, **settings: str) -> None:
        self.project = f"aichat-test-{uuid.uuid4().hex[:8]}"
        self._directory = directory
        self._command = ("docker", "compose", *options)
        self._environment = {
            **inherited(INHERITED),
            "COMPOSE_PROJECT_NAME": self.project,
            "HEALTH_INTERVAL": "1s",
            "HEALTH_RETRIES": "120",  # Whoever waits for another that is stopped is not to be given up meanwhile.
            **settings,
        }

    @property
    def last_words(self) -> str:
        """See Running."""
        return self.compose("logs", "--no-color", "--tail", "60", check=False).stdout[-LAST_CHARACTERS:]

    def start(self) -> None:
        """See `up`."""
        self.up()

    def up(self) -> None:
        """Builds and starts everything, and waits until all is healthy."""
        self.compose("up", "--build", "--detach", "--wait", "--wait-timeout", "180")

    def down(self) -> None:
        """Stops and removes the containers; the data stays."""
        self.compose("down")

    def remove(self) -> None:
        """See Running."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "3", check=False)

    def compose(self, *arguments: str, check: bool = True, **settings: str) -> subprocess.CompletedProcess[str]:
        """`docker compose` of this project; `settings` are added to its environment."""
        done = self.run(*self._command, *arguments, check=check, settings=settings)
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )

    def pipe(self, *arguments: str, feed: bytes = b"", check: bool = True) -> bytes:
        """As `compose`, for data: `feed` is its input. Returns its output; where it may fail, both streams."""
        done = self.run(*self._command, *arguments, feed=feed, check=check)
        return done.stdout if check else done.stdout + done.stderr

    def run(
        self, *command: str, feed: bytes = b"", check: bool = True, settings: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """A command in the project's directory and environment. AssertionError where it fails and `check` is set."""
        done = subprocess.run(
            command,
            env={**self._environment, **(settings or {})},
            cwd=self._directory,
            input=feed,
            capture_output=True,
            timeout=UP_SECONDS,
            check=False,
        )
        said = f"{done.stdout[-2000:].decode(errors='replace')}{done.stderr[-4000:].decode(errors='replace')}"
        assert not (check and done.returncode), f"{' '.join(command)}: {said}"
        return done

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


class Stack(Project):
    """docker-compose.yml as it is here, on free ports of 127.0.0.1."""

    def __init__(self, **settings: str) -> None:
        self.server = f"127.0.0.1:{free_port()}"
        self.page = f"http://127.0.0.1:{free_port()}/"
        ports = {
            "SESSION_SVC_PORT": self.server.rpartition(":")[2],
            "GATEWAY_PORT": self.page.rstrip("/").rpartition(":")[2],
        }
        nobody_answers = {"ASSISTANT_REPLICAS": "0"}  # What a test writes is then all there is.
        super().__init__(ROOT, "--env-file", os.devnull, **ports, **nobody_answers, **settings)
