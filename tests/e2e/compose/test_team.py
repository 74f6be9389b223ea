"""The way of the README's team section: from nothing to TLS in front and two people's tokens."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from ai_chat_client import ROLE_USER, AiChatError, Client, Message
from support.compose import engine_problem
from support.needs import missing
from support.team import Team
from support.until import until

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class People:
    """Two of a team, with their tokens, and how they reach it."""

    team: Team
    authority: Path
    ada: str
    bob: str

    def client(self, token: str | None) -> Client:
        """A program of theirs."""
        return Client(self.team.url, token=token, tls_ca=self.authority)

    def browser(self, token: str | None) -> httpx.Client:
        """What they see the page with."""
        context = ssl.create_default_context(cafile=str(self.authority))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.team.url, verify=context, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def people() -> Iterator[People]:
    if problem := engine_problem():
        missing(problem)
    with Team() as team:
        both = People(team, team.authority, team.token("ada"), team.token("bob"))
        with both.client(both.ada) as ada, both.client(both.bob) as bob:
            until(lambda: not _refused(ada) and not _refused(bob), what="the new tokens")
        yield both


def _refused(client: Client) -> bool:
    try:
        client.list_sessions()
    except AiChatError as error:
        return error.reason in {"TOKEN_INVALID", "TOKEN_MISSING"}
    return False


def test_what_ada_writes_bob_reads_under_her_name_and_the_assistant_answers(people: People) -> None:
    with people.client(people.ada) as ada, people.client(people.bob) as bob:
        ada.append_messages("plans", [Message(role=ROLE_USER, content="Who is there?")])
        until(lambda: len(list(bob.messages("plans"))) == 2, what="an answer")
        assert [message.author for message in bob.messages("plans")] == ["ada", "assistant"]


def test_the_page_shows_it_to_whoever_has_a_token_and_streams_it(people: People) -> None:
    with people.browser(people.bob) as browser, people.client(people.ada) as ada:
        assert browser.get("/").status_code == httpx.codes.OK
        with browser.stream("GET", "/api/stream", params={"session": "live"}) as stream:
            lines = stream.iter_lines()
            next(lines)  # The gateway speaks first, once it is subscribed.
            ada.append_messages("live", [Message(role=ROLE_USER, content="as it happens")])
            assert any("as it happens" in line for line in lines)


def test_without_a_token_nobody_reads_anything(people: People) -> None:
    with people.client(None) as nobody, people.browser(None) as browser:
        assert _refused(nobody)
        for path in ("/api/sessions", "/api/stream?session=plans", "/api/sessions/plans/messages"):
            assert browser.get(path).status_code == httpx.codes.UNAUTHORIZED


def test_a_token_that_is_revoked_is_refused_within_seconds_and_the_others_are_not(people: People) -> None:
    eve = people.team.token("eve")
    with people.client(eve) as client, people.client(people.ada) as ada:
        until(lambda: not _refused(client), what="the new token")
        people.team.compose("exec", "-T", "session-svc", "session-svc", "token", "revoke", "eve")
        until(lambda: _refused(client), what="the end of the token")
        assert not _refused(ada)


def test_nothing_but_the_proxy_is_reached_from_outside(people: People) -> None:
    published = people.team.compose("ps", "--format", "{{.Service}}: {{.Ports}}").stdout.splitlines()
    assert {line.partition(":")[0] for line in published if "->" in line} == {"proxy"}


def test_redis_asks_for_the_services_passwords(people: People) -> None:
    asked = people.team.compose(
        *("exec", "-T", "redis", "redis-cli", "--no-auth-warning", "--user", "session-svc", "--pass", "none", "ping")
    )
    assert "NOAUTH" in asked.stdout + asked.stderr


def test_the_deployment_survives_a_restart_with_its_tokens(people: People) -> None:
    people.team.compose("restart", "session-svc", "stream-gateway")
    with people.client(people.ada) as ada:
        until(lambda: _contents(ada, "plans"), what="the session again")
    people.team.run("deploy/team/setup", "localhost")  # Run again, it keeps what is there.
    with people.client(people.bob) as bob:
        assert not _refused(bob)


def _contents(client: Client, session: str) -> list[str]:
    try:
        return [message.content for message in client.messages(session)]
    except AiChatError:
        return []
