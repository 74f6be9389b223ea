"""The ways of the README's team section: from nothing to TLS and two people's tokens, behind Caddy and without it."""

import socket
import ssl
from collections.abc import Iterator

import httpx
import pytest
from ai_chat_client import ROLE_USER, AiChatError, Client, Message
from support.compose import engine_problem
from support.needs import missing
from support.team import People, TeamBehindCaddy, TeamWithoutProxy, refused
from support.until import until

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", params=[TeamBehindCaddy, TeamWithoutProxy], ids=["caddy", "direct"])
def people(request: pytest.FixtureRequest) -> Iterator[People]:
    if problem := engine_problem():
        missing(problem)
    kind: type[TeamBehindCaddy | TeamWithoutProxy] = request.param
    with kind() as team:
        yield People.of(team)


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
        assert refused(nobody)
        for path in ("/api/sessions", "/api/stream?session=plans", "/api/sessions/plans/messages"):
            assert browser.get(path).status_code == httpx.codes.UNAUTHORIZED


def test_a_token_that_is_revoked_is_refused_within_seconds_and_the_others_are_not(people: People) -> None:
    eve = people.team.token("eve")
    with people.client(eve) as client, people.client(people.ada) as ada:
        until(lambda: not refused(client), what="the new token")
        people.team.compose("exec", "-T", "session-svc", "session-svc", "token", "revoke", "eve")
        until(lambda: refused(client), what="the end of the token")
        assert not refused(ada)


def test_only_what_speaks_tls_is_reached_from_outside(people: People) -> None:
    listed = people.team.compose("ps", "--format", "{{.Service}}: {{.Ports}}").stdout.splitlines()
    published = {line.partition(":")[0] for line in listed if "->" in line}
    assert published == ({"proxy"} if people.team.server == people.team.page else {"session-svc", "stream-gateway"})
    for address in {people.team.server, people.team.page}:
        with pytest.raises(ssl.SSLCertVerificationError):
            _certificate(address, ssl.create_default_context())  # It speaks TLS: it is this certificate that fails.


@pytest.mark.parametrize("people", [TeamWithoutProxy], ids=["direct"], indirect=True)
def test_a_renewed_certificate_is_used_without_a_restart(people: People) -> None:
    assert isinstance(people.team, TeamWithoutProxy)
    addresses = (people.team.server, people.team.page)
    trusted = ssl.create_default_context(cafile=str(people.authority))
    assert not any(b"renewed" in _certificate(address, trusted) for address in addresses)
    people.team.renew("renewed")
    until(lambda: all(b"renewed" in _certificate(address, trusted) for address in addresses), what="the renewed one")


def test_redis_asks_for_the_services_passwords(people: People) -> None:
    asked = people.team.compose(
        *("exec", "-T", "redis", "redis-cli", "--no-auth-warning", "--user", "session-svc", "--pass", "none", "ping")
    )
    assert "NOAUTH" in asked.stdout + asked.stderr


def test_the_deployment_survives_a_restart_with_its_tokens(people: People) -> None:
    people.team.compose("restart", "session-svc", "stream-gateway")
    with people.client(people.ada) as ada:
        until(lambda: _contents(ada, "plans"), what="the session again")
    people.team.set_up()  # Run again, it keeps what is there.
    with people.client(people.bob) as bob:
        assert not refused(bob)


def _contents(client: Client, session: str) -> list[str]:
    try:
        return [message.content for message in client.messages(session)]
    except AiChatError:
        return []


def _certificate(address: str, context: ssl.SSLContext) -> bytes:
    """The certificate that is shown there."""
    port = int(address.rpartition(":")[2])
    with (
        socket.create_connection(("localhost", port), 30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as encrypted,
    ):
        return encrypted.getpeercert(binary_form=True) or b""
