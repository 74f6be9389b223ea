"""People with tokens, before a service that asks for them."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ai_chat_client import ROLE_USER, Client, Message
from ai_chat_client.errors import NotFoundError
from support.processes import Service, session_svc
from support.redis_server import RedisServer
from support.terminal import ENTER
from support.tokens import TokensFile
from support.until import until

from .conftest import Person

PROMPT = "\n>"


@dataclass(frozen=True)
class Guarded:
    """A service that asks for tokens, and the file they are in."""

    svc: Service
    tokens: TokensFile

    @property
    def address(self) -> str:
        return self.svc.address


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    tokens = TokensFile(tmp_path_factory.mktemp("tokens") / "tokens.json")
    with RedisServer() as redis, session_svc(redis.url, AUTH_TOKENS_FILE=str(tokens.path)) as svc:
        yield Guarded(svc, tokens)


@pytest.fixture
def ada(tmp_path: Path) -> Person:
    """Somebody who has set nothing up yet."""
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    return Person(home, folder, "", {"LOGNAME": "somebody"})


def token(guarded: Guarded, name: str, *scopes: str, sessions: list[str] | None = None) -> str:
    """A token that the service knows already."""
    made = guarded.tokens.add(name, scopes=scopes or ("read", "write"), sessions=sessions)  # type: ignore[arg-type]  # Scopes.

    def is_known() -> bool:
        with Client(guarded.address, token=made) as client:
            try:
                client.get_session("no-such-session")
            except NotFoundError:
                return True
            except Exception as error:  # noqa: BLE001 - Known, but not allowed this one; or not known yet.
                return getattr(error, "reason", "") in {"SCOPE_MISSING", "SESSION_FORBIDDEN"}
            return True

    until(is_known, what=f"the token of {name} in force")
    return made


def config(person: Person) -> Path:
    return person.home / ".config" / "ai-chat" / "config.json"


def login(person: Person, guarded: Guarded, *scopes: str, name: str = "", sessions: list[str] | None = None) -> str:
    """Logs a person in as `name`, by default one of its own; returns it."""
    name = name or f"ada-{uuid.uuid4().hex[:8]}"
    person.ok("login", guarded.address, stdin=token(guarded, name, *scopes, sessions=sessions))
    return name


def test_a_token_is_asked_for_without_showing_it_and_kept(ada: Person, guarded: Guarded, name: str) -> None:
    secret = token(guarded, "ada")
    with ada.terminal("login", guarded.address, "--context", "team") as terminal:
        terminal.wait_for("Token:")
        terminal.type(f"{secret}{ENTER}")
        terminal.wait_for(f"logged in at {guarded.address}; the context team is in use now")
        assert terminal.process.wait(60) == 0
        assert secret not in terminal.screen
    assert config(ada).stat().st_mode & 0o777 == 0o600
    ada.ok("send", name, "hello")
    (message,) = map(json.loads, ada.ok("show", name, "--json").splitlines())
    assert message["author"] == "ada"
    assert json.loads(ada.ok("list", name, "--json"))["owner"] == "ada"


def test_a_token_from_a_pipe_is_kept_under_the_hosts_name(ada: Person, guarded: Guarded) -> None:
    ran = ada.run("login", guarded.address, stdin=f"{token(guarded, 'ada')}\n")
    assert (ran.code, ran.out) == (0, "")
    assert "* 127.0.0.1  server=" in ada.ok("context", "list")


def test_a_token_that_the_server_does_not_know_is_refused_and_nothing_is_kept(ada: Person, guarded: Guarded) -> None:
    ran = ada.run("login", guarded.address, stdin="wrong\n")
    assert ran.code == 6
    assert "does not know this token" in ran.err
    assert ran.err.count("\n") == 1
    assert not config(ada).exists()


def test_a_login_without_a_server_or_a_token_says_so(ada: Person, guarded: Guarded) -> None:
    assert ada.run("login", "127.0.0.1:1", stdin="t").code == 5
    assert ada.run("login", "nowhere", stdin="t").code == 2
    ran = ada.run("login", guarded.address, stdin="")
    assert (ran.code, "no token was given" in ran.err) == (2, True)
    assert not config(ada).exists()


def test_a_token_that_may_not_list_is_a_token(ada: Person, guarded: Guarded) -> None:
    login(ada, guarded, "write")


def test_a_server_that_asks_nobody_is_said_to_be_one(ada: Person, svc: Service) -> None:
    assert "asks nobody for a token" in ada.run("login", svc.address, stdin="any").err


def test_without_a_token_one_is_told_to_log_in(ada: Person, guarded: Guarded) -> None:
    ran = ada.run("list", "--server", guarded.address)
    assert (ran.code, ran.out) == (6, "")
    assert "ai-chat login" in ran.err
    assert ran.err.count("\n") == 1


def test_after_a_logout_the_token_is_gone_and_the_server_is_not(ada: Person, guarded: Guarded) -> None:
    login(ada, guarded)
    ada.ok("list")
    assert "until it expires or is revoked" in ada.run("logout").err
    assert "token" not in config(ada).read_text()
    assert ada.run("list").code == 6
    assert "has no token" in ada.run("logout").err
    secret = token(guarded, "ada-again")
    ada.ok("login", stdin=secret)
    ada.ok("list")


def test_a_token_in_the_environment_wins_and_that_is_said(ada: Person, guarded: Guarded) -> None:
    ran = ada.run("login", guarded.address, stdin=token(guarded, "ada"), AI_CHAT_TOKEN="another")
    assert ran.code == 0
    assert "AI_CHAT_TOKEN is set" in ran.err


def test_what_a_token_does_not_allow_is_exit_6_and_says_what_would(ada: Person, guarded: Guarded, name: str) -> None:
    login(ada, guarded, "read")
    ran = ada.run("send", name, "x")
    assert (ran.code, "'write'" in ran.err) == (6, True)
    login(ada, guarded, sessions=["team-*"])
    ran = ada.run("send", name, "x")
    assert (ran.code, "team-*" in ran.err) == (6, True)
    ada.ok("send", f"team-{name}", "x")


def test_another_author_needs_admin(ada: Person, guarded: Guarded, name: str) -> None:
    own = login(ada, guarded)
    ada.ok("send", name, "x", AI_CHAT_AUTHOR=own)
    ran = ada.run("send", name, "x", AI_CHAT_AUTHOR="eve")
    assert (ran.code, "'admin'" in ran.err) == (6, True)


def test_an_import_needs_admin_and_leaves_nothing_behind_without(ada: Person, guarded: Guarded, name: str) -> None:
    login(ada, guarded)
    ada.ok("send", name, "hello")
    exported = ada.ok("export", name)
    ran = ada.run("import", "-", "--as", f"{name}-copy", stdin=exported)
    assert (ran.code, "'admin'" in ran.err) == (6, True)
    assert ada.run("show", f"{name}-copy").code == 3
    login(ada, guarded, "read", "write", "admin")
    ada.ok("import", "-", "--as", f"{name}-copy", stdin=exported)
    assert "hello" in ada.ok("show", f"{name}-copy")


def test_two_people_chat_under_the_names_of_their_tokens(
    ada: Person, tmp_path_factory: pytest.TempPathFactory, guarded: Guarded, name: str
) -> None:
    there = tmp_path_factory.mktemp("bob")
    bob = Person(there, there, "")
    hers, his = login(ada, guarded), login(bob, guarded, name=f"bob-{name}")
    with ada.terminal("-s", name) as her_screen, bob.terminal("-s", name) as his_screen:
        for screen, text in ((her_screen, "from-her"), (his_screen, "from-him")):
            screen.wait_for(PROMPT)
            screen.type(f"{text}{ENTER}")
        her_screen.wait_for("from-him")
        her_screen.wait_for(his)
        his_screen.wait_for("from-her")
        his_screen.wait_for(hers)


def test_a_chat_whose_token_is_revoked_ends_with_6(ada: Person, guarded: Guarded, name: str) -> None:
    own = login(ada, guarded)
    with ada.terminal("-s", name) as terminal:
        terminal.wait_for(PROMPT)
        guarded.tokens.revoke(own)
        assert terminal.process.wait(60) == 6
        terminal.wait_for("ai-chat login")


def test_an_old_question_is_asked_again_in_ones_own_name(ada: Person, guarded: Guarded, name: str) -> None:
    own = login(ada, guarded)
    admin = token(guarded, f"admin-{name}", "read", "write", "admin")
    with Client(guarded.address, token=admin) as client, ada.terminal("-s", name) as terminal:
        old = Message(role=ROLE_USER, author="somebody", content="why?")
        old.create_time.FromSeconds(1_700_000_000)
        client.append_messages(name, [old])
        terminal.wait_for("why?")
        terminal.type(f"/retry{ENTER}")
        until(lambda: [message.author for message in client.messages(name)] == [own], what="the question asked again")
