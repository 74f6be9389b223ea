"""A team's deployment, brought up as deploy/team says, from a copy of this checkout."""

import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aichat_dev.embedded_redis import free_port
from support.compose import INHERITED, UP_SECONDS
from support.needs import missing
from support.product import ROOT

_NOT_COPIED: Final = shutil.ignore_patterns(
    ".*_cache", ".git", ".venv", ".data", ".env", ".hypothesis", "__pycache__", "secrets"
)
_AUTHORITY: Final = "/data/caddy/pki/authorities/local/root.crt"
_IMAGE: Final = "aichat-test/caddy"


class Team:
    """Context manager: set up and started under the name `localhost`; removed with its data at the end."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self._directory = Path(tempfile.mkdtemp(prefix="aichat-team-"))
        self._checkout = self._directory / "checkout"
        self._environment = {
            **{name: os.environ[name] for name in INHERITED if name in os.environ},
            "COMPOSE_PROJECT_NAME": f"aichat-test-{uuid.uuid4().hex[:8]}",
            "CADDY_IMAGE": _IMAGE,
            "HTTPS_PORT": str(self.port),
            "HTTP_PORT": str(free_port()),
            "PUBLIC_URL": f"{self.url}/",
            "DRAIN_SECONDS": "1",
        }

    def __enter__(self) -> Self:
        try:
            _caddy_image(self._directory / "image")
            shutil.copytree(ROOT, self._checkout, ignore=_NOT_COPIED, symlinks=True)
            self.run("deploy/team/setup", "localhost")
            self.compose("up", "--build", "--detach", "--wait", "--wait-timeout", "180")
        except BaseException as error:
            error.add_note(self._logs())
            self._remove()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is not None:
            exc.add_note(self._logs())
        self._remove()

    @property
    def authority(self) -> Path:
        """A file with the certificate of the proxy's own authority."""
        path = self._directory / "root.crt"
        path.write_text(self.compose("exec", "-T", "proxy", "cat", _AUTHORITY), encoding="utf-8")
        return path

    def token(self, name: str) -> str:
        """Makes a token, as the operator does."""
        return self.compose("exec", "-T", "session-svc", "session-svc", "token", "create", name).strip()

    def compose(self, *arguments: str) -> str:
        """`docker compose` in the team's directory: stdout, or AssertionError."""
        return self.run("docker", "compose", *arguments)

    def run(self, *command: str) -> str:
        """A command in the team's directory: stdout, or AssertionError."""
        done = subprocess.run(
            command,
            env=self._environment,
            cwd=self._checkout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=UP_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout

    def _logs(self) -> str:
        try:
            return self.compose("logs", "--no-color", "--tail", "30")[-8000:]
        except AssertionError as error:
            return str(error)

    def _remove(self) -> None:
        try:
            if self._checkout.exists():
                self.compose("down", "--volumes", "--remove-orphans", "--timeout", "3")
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)


def _caddy_image(directory: Path) -> None:
    """An image of the Caddy that is installed here: nothing has to be fetched."""
    caddy = shutil.which("caddy")
    if caddy is None:
        missing("caddy (Debian: apt install caddy)")
    directory.mkdir()
    shutil.copy(caddy, directory / "caddy")
    (directory / "Dockerfile").write_text("FROM python:3.13-slim\nCOPY caddy /usr/bin/caddy\n", encoding="utf-8")
    subprocess.run(["docker", "build", "--quiet", "--tag", _IMAGE, directory], check=True, capture_output=True)
