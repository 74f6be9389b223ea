"""A team's deployment, brought up as deploy/team says, from a copy of this checkout."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from aichat_dev.embedded_redis import free_port
from support.compose import Project
from support.needs import missing
from support.product import ROOT

_NOT_COPIED: Final = shutil.ignore_patterns(
    ".*_cache", ".git", ".venv", ".data", ".env", ".hypothesis", "__pycache__", "secrets"
)
_AUTHORITY: Final = "/data/caddy/pki/authorities/local/root.crt"
_IMAGE: Final = "aichat-test/caddy"


class Team(Project):
    """Context manager: set up and started under the name `localhost`; removed with its data at the end."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self._folder = Path(tempfile.mkdtemp(prefix="aichat-team-"))
        super().__init__(
            self._folder / "checkout",
            CADDY_IMAGE=_IMAGE,
            HTTPS_PORT=str(self.port),
            HTTP_PORT=str(free_port()),
            PUBLIC_URL=f"{self.url}/",
            DRAIN_SECONDS="1",
        )

    @property
    def authority(self) -> Path:
        """A file with the certificate of the proxy's own authority."""
        path = self._folder / "root.crt"
        path.write_text(self.compose("exec", "-T", "proxy", "cat", _AUTHORITY).stdout, encoding="utf-8")
        return path

    def start(self) -> None:
        """Makes the copy, sets it up and starts it."""
        _caddy_image(self._folder / "image")
        shutil.copytree(ROOT, self._directory, ignore=_NOT_COPIED, symlinks=True)
        self.run("deploy/team/setup", "localhost")
        self.up()

    def remove(self) -> None:
        """See Running."""
        try:
            if self._directory.exists():
                super().remove()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def token(self, name: str) -> str:
        """Makes a token, as the operator does."""
        return self.compose("exec", "-T", "session-svc", "session-svc", "token", "create", name).stdout.strip()


def _caddy_image(directory: Path) -> None:
    """An image of the Caddy that is installed here: nothing has to be fetched."""
    caddy = shutil.which("caddy")
    if caddy is None:
        missing("caddy (Debian: apt install caddy)")
    directory.mkdir()
    shutil.copy(caddy, directory / "caddy")
    (directory / "Dockerfile").write_text("FROM python:3.13-slim\nCOPY caddy /usr/bin/caddy\n", encoding="utf-8")
    subprocess.run(["docker", "build", "--quiet", "--tag", _IMAGE, directory], check=True, capture_output=True)
