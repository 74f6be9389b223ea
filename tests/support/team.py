"""A team's deployment, brought up as deploy/team says, from a copy of this checkout."""

import shutil
import ssl
import subprocess
import tempfile
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import httpx
from ai_chat_client import AiChatError, Client
from aichat_dev.embedded_redis import free_port
from support.certificates import Authority
from support.compose import Project
from support.needs import missing
from support.product import ROOT
from support.until import until

_NOT_COPIED: Final = shutil.ignore_patterns(
    ".*_cache", ".git", ".venv", ".data", ".env", ".hypothesis", "__pycache__", "secrets"
)
_AUTHORITY: Final = "/data/caddy/pki/authorities/local/root.crt"
_IMAGE: Final = "aichat-test/caddy"


class Team(Project):
    """Context manager: a copy of this checkout, set up under `site` and started; removed with its data at the end.

    `page` and `server` are where people reach it, `authority` is the file with the certificate that they trust.
    """

    def __init__(self, site: str, **settings: str) -> None:
        port = free_port()
        self.page = f"https://localhost:{port}"
        self.folder = Path(tempfile.mkdtemp(prefix="aichat-team-"))
        self._site = site
        super().__init__(
            self.folder / "checkout",
            HTTPS_PORT=str(port),
            PUBLIC_URL=f"{self.page}/",
            DRAIN_SECONDS="1",
            **settings,
        )

    @property
    @abstractmethod
    def server(self) -> str:
        """Where programs find session-svc."""

    @property
    @abstractmethod
    def authority(self) -> Path:
        """The certificate of whoever vouches for it."""

    def start(self) -> None:
        """Makes the copy, sets it up and starts it."""
        shutil.copytree(ROOT, self._directory, ignore=_NOT_COPIED, symlinks=True)
        self.set_up()
        self.up()

    def set_up(self, *arguments: str | Path) -> None:
        """What its operator does before the first start, and may do again."""
        self.run("deploy/team/setup", self._site, *map(str, arguments))

    def remove(self) -> None:
        """See Running."""
        try:
            if self._directory.exists():
                super().remove()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def token(self, name: str) -> str:
        """Makes a token, as the operator does."""
        return self.compose("exec", "-T", "session-svc", "session-svc", "token", "create", name).stdout.strip()


class TeamBehindCaddy(Team):
    """One port for all, with a certificate that Caddy makes itself."""

    def __init__(self) -> None:
        super().__init__("localhost", CADDY_IMAGE=_IMAGE, HTTP_PORT=str(free_port()))

    @property
    def server(self) -> str:
        """See Team."""
        return self.page

    @property
    def authority(self) -> Path:
        """See Team."""
        path = self.folder / "root.crt"
        path.write_text(self.compose("exec", "-T", "proxy", "cat", _AUTHORITY).stdout, encoding="utf-8")
        return path

    def start(self) -> None:
        """See Team."""
        _caddy_image(self.folder / "image")
        super().start()


class TeamWithoutProxy(Team):
    """A port for the page and one for gRPC, with a certificate of an authority of its own."""

    def __init__(self) -> None:
        port = free_port()
        super().__init__("team.example", SESSION_SVC_PORT=str(port))
        self._server = f"https://localhost:{port}"
        self._authority = Authority(self.folder, self._site)

    @property
    def server(self) -> str:
        """See Team."""
        return self._server

    @property
    def authority(self) -> Path:
        """See Team."""
        return self._authority.ca

    def set_up(self, *arguments: str | Path) -> None:
        """See Team."""
        super().set_up(self._authority.cert, self._authority.key, self._authority.ca, *arguments)

    def renew(self, common_name: str) -> None:
        """Has the certificate replaced, as whoever renews certificates does."""
        self._authority.renew(common_name)
        self.run("deploy/team/certificate", str(self._authority.cert), str(self._authority.key))


@dataclass(frozen=True)
class People:
    """Two of a team, with their tokens, and how they reach it."""

    team: Team
    authority: Path
    ada: str
    bob: str

    @classmethod
    def of(cls, team: Team) -> Self:
        """With new tokens, which work already."""
        both = cls(team, team.authority, team.token("ada"), team.token("bob"))
        with both.client(both.ada) as ada, both.client(both.bob) as bob:
            until(lambda: not refused(ada) and not refused(bob), what="the new tokens")
        return both

    def client(self, token: str | None) -> Client:
        """A program of theirs."""
        return Client(self.team.server, token=token, tls_ca=self.authority)

    def browser(self, token: str | None) -> httpx.Client:
        """What they see the page with."""
        context = ssl.create_default_context(cafile=str(self.authority))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.team.page, verify=context, headers=headers, timeout=60)


def refused(client: Client) -> bool:
    """Whether its token is none."""
    try:
        client.list_sessions()
    except AiChatError as error:
        return error.reason in {"TOKEN_INVALID", "TOKEN_MISSING"}
    return False


def _caddy_image(directory: Path) -> None:
    """An image of the Caddy that is installed here: nothing has to be fetched."""
    caddy = shutil.which("caddy")
    if caddy is None:
        missing("caddy (Debian: apt install caddy)")
    directory.mkdir()
    shutil.copy(caddy, directory / "caddy")
    (directory / "Dockerfile").write_text("FROM python:3.13-slim\nCOPY caddy /usr/bin/caddy\n", encoding="utf-8")
    subprocess.run(["docker", "build", "--quiet", "--tag", _IMAGE, directory], check=True, capture_output=True)
