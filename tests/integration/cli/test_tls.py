"""The terminal before a service that speaks TLS alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ai_chat_client import Client
from support.certificates import Authority
from support.processes import Service, session_svc
from support.tokens import TokensFile
from support.until import until

from .conftest import Person


@dataclass(frozen=True)
class Secured:
    """A service with a certificate of `authority`, and Ada's token for it."""

    svc: Service
    authority: Authority
    token: str

    @property
    def url(self) -> str:
        return f"https://{self.svc.address}"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    authority, tokens = Authority(folder), TokensFile(folder / "tokens.json")
    token = tokens.add("ada")
    files = {"TLS_CERT": authority.cert, "TLS_KEY": authority.key, "AUTH_TOKENS_FILE": tokens.path}
    with session_svc(until="listening", **{name: str(file) for name, file in files.items()}) as svc:
        found = Secured(svc, authority, token)

        def serves() -> bool:
            with Client(found.url, token=token, tls_ca=authority.ca) as client:
                client.list_sessions(page_size=1)
            return True

        until(serves)
        yield found


@pytest.fixture
def ada(tmp_path: Path) -> Person:
    home = tmp_path / "home"
    home.mkdir()
    return Person(home, home, "")


def test_one_logs_in_by_the_authority_and_needs_it_no_more(ada: Person, secured: Secured, name: str) -> None:
    ada.ok("login", secured.url, "--tls-ca", str(secured.authority.ca), "--context", "team", stdin=secured.token)
    ada.ok("send", name, "through TLS")
    assert "ada" in ada.ok("show", name)
    ada.ok("login", stdin=secured.token)
    assert "through TLS" in ada.ok("show", name)


def test_without_the_authority_nothing_is_sent_and_the_remedy_is_named(ada: Person, secured: Secured) -> None:
    ran = ada.run("login", secured.url, stdin=secured.token)
    assert ran.code == 5
    assert "--tls-ca" in ran.err
    assert ran.err.count("\n") == 1


def test_a_plain_server_behind_https_is_said_to_be_one(ada: Person, svc: Service) -> None:
    ran = ada.run("list", "--server", f"https://{svc.address}")
    assert (ran.code, "http://" in ran.err) == (5, True)


def test_a_file_that_is_no_certificate_is_refused(ada: Person, secured: Secured) -> None:
    ran = ada.run("list", "--server", secured.url, "--tls-ca", str(secured.authority.key))
    assert (ran.code, "no certificate" in ran.err) == (2, True)
