"""What the gateway reads from its environment."""

import pytest
from stream_gateway.settings import GatewaySettings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in GatewaySettings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)


def settings(monkeypatch: pytest.MonkeyPatch, **environment: str) -> GatewaySettings:
    """The settings in an environment that holds nothing else."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return GatewaySettings()


def test_the_defaults_are_for_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch)

    assert str(found.gateway_listen) == "127.0.0.1:3000"
    assert found.hosts == frozenset({"localhost", "127.0.0.1", "::1"})
    assert found.is_published_on_loopback
    assert found.gateway_write is None
    assert found.session_svc_address == "localhost:50051"
    assert not found.session_svc_tls


def test_hosts_are_names_however_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, GATEWAY_HOSTS=" Chat.Example.com. , [2001:DB8::1],")

    assert found.hosts == frozenset({"chat.example.com", "2001:db8::1"})


def test_the_host_of_the_public_url_is_let_in_too(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, PUBLIC_URL="https://Chat.example.com:8443/team/")

    assert found.hosts is not None
    assert "chat.example.com" in found.hosts
    assert found.public_origin == "https://chat.example.com:8443"
    assert found.path_prefix == "/team"


def test_published_on_loopback_it_may_listen_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose port is published on 127.0.0.1."""
    found = settings(monkeypatch, GATEWAY_LISTEN="0.0.0.0:3000", PUBLISHED_ADDRESS="127.0.0.1")

    assert found.is_published_on_loopback


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PUBLIC_URL", "chat.example.com"),
        ("PUBLIC_URL", "https://chat.example.com/?a=b"),
        ("GATEWAY_HOSTS", "*"),
        ("GATEWAY_HOSTS", "http://localhost"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", "proxy"),
        ("GATEWAY_LISTEN", "3000"),
        ("WEB_STREAM_ENABLED", "perhaps"),
        ("SESSION_SVC_ADDRESS", "a b"),
        ("PUBLIC_GRPC_ADDRESS", "nowhere"),
    ],
)
def test_a_bad_value_is_an_error(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        settings(monkeypatch, **{variable: value})
