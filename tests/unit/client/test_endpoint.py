"""Addresses of servers, and when the way there is encrypted."""

import pytest
from ai_chat_client import AsyncClient, Client, ConfigurationError, Endpoint
from ai_chat_client.connection import Connection
from ai_chat_client.context import request_id, token


@pytest.mark.parametrize(
    ("text", "target", "tls", "local"),
    [
        ("localhost:50051", "localhost:50051", False, True),
        ("127.0.0.1:50051", "127.0.0.1:50051", False, True),
        ("127.1.2.3:1", "127.1.2.3:1", False, True),
        ("[::1]:50051", "[::1]:50051", False, True),
        (" chat.example.com:443 ", "chat.example.com:443", True, False),
        ("10.0.0.7:50051", "10.0.0.7:50051", True, False),
        ("http://chat.example.com:50051", "chat.example.com:50051", False, False),
        ("http://localhost:50051/", "localhost:50051", False, True),
        ("https://chat.example.com", "chat.example.com:443", True, False),
        ("https://chat.example.com:8443", "chat.example.com:8443", True, False),
        ("https://localhost:50051", "localhost:50051", True, True),
        ("dns:///session-svc:50051", "dns:///session-svc:50051", True, False),
        ("dns:///localhost:50051", "dns:///localhost:50051", False, True),
        ("LocalHost.:50051", "localhost.:50051", False, True),
        ("[::ffff:127.0.0.1]:50051", "[::ffff:127.0.0.1]:50051", False, True),
        ("[::ffff:10.0.0.7]:50051", "[::ffff:10.0.0.7]:50051", True, False),
    ],
)
def test_an_address_says_where_and_whether_encrypted(text: str, target: str, tls: bool, local: bool) -> None:
    assert Endpoint.parse(text) == Endpoint(target, tls, local)


@pytest.mark.parametrize(
    ("target", "local"),
    [
        ("unix:///run/chat.sock", True),
        ("unix:chat.sock", True),
        ("unix-abstract:chat", True),
        ("dns:localhost:50051", True),
        ("dns:///LOCALHOST:50051", True),
        ("dns:///chat.localhost:50051", True),
        ("dns:///127.0.0.1:50051", True),
        ("dns:///[::1]:50051", True),
        ("dns:///session-svc:50051", False),
        ("dns://10.0.0.53/localhost:50051", False),  # That name server may know another localhost.
        ("dns:///localhost.example.com:50051", False),
        ("ipv4:127.0.0.1:50051", True),
        ("ipv4:///127.0.0.1:50051", True),
        ("ipv4:127.0.0.1:50051,127.0.0.2:50052", True),
        ("ipv4:127.0.0.1:50051,10.0.0.7:50051", False),
        ("ipv4:10.0.0.7:50051,127.0.0.1:50051", False),
        ("ipv4:127.0.0.1:50051,", False),
        ("ipv4:10.0.0.7:50051", False),
        ("ipv6:[::1]:50051", True),
        ("ipv6:%5B::1%5D:50051", True),
        ("ipv6:[::1]:50051,[::1]:50052", True),
        ("ipv6:[::1]:50051,[2001:db8::7]:50051", False),
        ("ipv6:[::1:50051", False),
    ],
)
def test_of_a_grpc_target_every_address_must_be_this_machine_for_plaintext(target: str, local: bool) -> None:
    assert Endpoint.parse(target) == Endpoint(target, not local, local)


def test_the_rule_for_encryption_can_be_overridden() -> None:
    assert not Endpoint.parse("session-svc:50051", tls=False).tls
    assert Endpoint.parse("localhost:50051", tls=True).tls


@pytest.mark.parametrize(
    "text",
    ["", "chat.example.com", "http://chat.example.com", "ftp://x:1", "host:99999", "host:port", "https://u:p@x:1",
     "https://x/path", ":50051", "http://", "dns:///", "unix:"],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT, http://HOST:PORT or https://HOST\[:PORT\]"):
        Endpoint.parse(text)


def test_a_token_goes_over_plaintext_to_another_machine_only_when_allowed() -> None:
    with pytest.raises(ConfigurationError, match="--insecure"):
        Connection("http://chat.example.com:50051", token="t")
    with pytest.raises(ConfigurationError, match="--insecure"):
        Connection("session-svc:50051", token="t", tls=False)
    allowed = Connection("http://chat.example.com:50051", token="t", insecure=True)
    assert ("authorization", "Bearer t") in allowed.metadata()
    assert ("authorization", "Bearer t") in Connection("localhost:50051", token="t").metadata()


def test_a_client_without_a_token_carries_that_of_its_context_and_no_client_another_ones() -> None:
    visitor = token.set("visitor")
    try:
        assert ("authorization", "Bearer visitor") in Connection("localhost:50051").metadata()
        assert ("authorization", "Bearer own") in Connection("localhost:50051", token="own").metadata()
        with pytest.raises(ConfigurationError, match="--insecure"):
            Connection("http://chat.example.com:50051").metadata()
    finally:
        token.reset(visitor)
    assert "authorization" not in dict(Connection("localhost:50051").metadata())


def test_what_cannot_be_set_up_is_refused_by_both_clients_alike() -> None:
    for kind in (AsyncClient, Client):
        with pytest.raises(ConfigurationError, match="CA file"):
            kind("chat.example.com:443", tls_ca="/nonexistent.pem")
        with pytest.raises(ConfigurationError, match="HOST:PORT"):
            kind("nowhere")
        with pytest.raises(ConfigurationError, match="token"):
            kind(token="two\nlines")


def test_an_author_travels_percent_encoded_because_metadata_is_ascii() -> None:
    assert ("ai-chat-author", "Zo%C3%AB 100%25") in Connection("localhost:1", author="Zoë 100%").metadata()


def test_a_call_carries_the_request_id_of_its_context_or_one_of_its_own() -> None:
    connection = Connection("localhost:1")
    own = dict(connection.metadata())["x-request-id"]
    assert own != dict(connection.metadata())["x-request-id"]
    from_the_edge = request_id.set("from-the-edge")
    try:
        assert ("x-request-id", "from-the-edge") in connection.metadata()
    finally:
        request_id.reset(from_the_edge)
