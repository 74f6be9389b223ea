"""A person with a terminal, a home directory and a running service."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ai_chat_client import Client
from support.processes import Service, session_svc
from support.redis_server import RedisServer
from support.terminal import Terminal

COMMAND = (sys.executable, "-m", "ai_chat_cli")


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@dataclass
class Person:
    """Runs `ai-chat` as one person on one machine."""

    home: Path
    folder: Path
    author: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the commands: nothing of this machine's settings."""
        own = {"HOME": str(self.home), "AI_CHAT_AUTHOR": self.author, "LANG": "C.UTF-8", **self.environment}
        return {"PATH": os.environ["PATH"], **own}

    def run(self, *arguments: str | bytes, stdin: str | bytes = "", **environment: str) -> Ran:
        """Runs a command to its end, without a terminal."""
        ran = subprocess.run(
            [*COMMAND, *arguments],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env={**self.variables, **environment},
            cwd=self.folder,
            timeout=60,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    def ok(self, *arguments: str, stdin: str | bytes = "", **environment: str) -> str:
        """Runs a command that must succeed; returns what it printed on stdout."""
        ran = self.run(*arguments, stdin=stdin, **environment)
        assert ran.code == 0, ran.err
        return ran.out

    def terminal(self, *arguments: str) -> Terminal:
        """A terminal in which the command runs."""
        return Terminal([*COMMAND, *arguments], environment=self.variables, directory=self.folder)


@pytest.fixture(scope="module")
def svc() -> Iterator[Service]:
    with RedisServer() as redis, session_svc(redis.url) as svc:
        yield svc


@pytest.fixture
def client(svc: Service) -> Iterator[Client]:
    with Client(svc.address, author="another-program") as client:
        yield client


@pytest.fixture
def name() -> str:
    return f"s-{uuid.uuid4().hex[:12]}"


def person(tmp_path: Path, svc: Service, author: str) -> Person:
    home, folder = tmp_path / author / "home", tmp_path / author / "folder"
    home.mkdir(parents=True)
    folder.mkdir()
    return Person(home, folder, author, {"AI_CHAT_SERVER": svc.address})


@pytest.fixture
def anna(tmp_path: Path, svc: Service) -> Person:
    return person(tmp_path, svc, "anna")


@pytest.fixture
def bob(tmp_path: Path, svc: Service) -> Person:
    return person(tmp_path, svc, "bob")
