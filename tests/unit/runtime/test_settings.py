"""What a program says of its environment before it starts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from aichat_runtime.settings import ProgramSettings, ServiceSettings, load
from session_svc.settings import SessionServiceSettings
from stream_gateway.settings import GatewaySettings

Refusal = Callable[..., list[str]]


@pytest.fixture(params=[SessionServiceSettings, GatewaySettings], ids=["session-svc", "stream-gateway"])
def settings_class(request: pytest.FixtureRequest) -> type[ServiceSettings]:
    found: type[ServiceSettings] = request.param
    return found


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets variables, in an environment that holds none of the programs' own."""
    for field in {*SessionServiceSettings.model_fields, *GatewaySettings.model_fields}:
        monkeypatch.delenv(field.upper(), raising=False)
        monkeypatch.delenv(f"{field.upper()}_FILE", raising=False)

    def set_variables(**variables: object) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return set_variables


@pytest.fixture
def refusal(environment: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> Refusal:
    """The lines with which a program refuses the variables it is given; it must exit with 2."""

    def refuse(settings_class: type[ProgramSettings], **variables: object) -> list[str]:
        environment(**variables)
        with pytest.raises(SystemExit) as end:
            load(settings_class)
        assert end.value.code == 2
        return [line.removeprefix("bad setting: ") for line in capsys.readouterr().err.splitlines()]

    return refuse


def variables_of(lines: list[str]) -> set[str]:
    return {line.split(": ")[0] for line in lines}


def test_bad_values_files_and_combinations_are_told_at_once(
    settings_class: type[ProgramSettings], refusal: Refusal, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    told = variables_of(
        refusal(
            settings_class,
            LOG_LEVEL="loud",
            REDIS_PORT="99999",
            REDIS_PASSWORD_FILE=missing,
            REDIS_URL_FILE=missing,
            LIMIT_MEMORY_FILE=missing,
            TLS_CERT=missing,
            OIDC_ISSUER="https://login.example.com",
        )
    )
    assert told >= {
        "LOG_LEVEL",
        "REDIS_PORT",
        "REDIS_PASSWORD_FILE",
        "REDIS_URL_FILE",
        "LIMIT_MEMORY_FILE",
        "TLS_CERT, TLS_KEY",
        "OIDC_AUDIENCE",
    }


def test_what_a_bad_value_alone_brings_about_is_not_told_beside_it(refusal: Refusal, tmp_path: Path) -> None:
    """A gateway whose token cannot be read is not one that has none."""
    (tmp_path / "tokens.json").write_text("{}", encoding="utf-8")
    lines = refusal(GatewaySettings, AUTH_TOKENS_FILE=tmp_path / "tokens.json", GATEWAY_TOKEN_FILE=tmp_path / "missing")
    assert variables_of(lines) == {"GATEWAY_TOKEN_FILE"}


def test_files_that_hold_nonsense_are_told_beside_the_rest(refusal: Refusal, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("{", encoding="utf-8")
    lines = refusal(
        SessionServiceSettings, AUTH_TOKENS_FILE=nonsense, TLS_CERT=nonsense, TLS_KEY=nonsense, DRAIN_SECONDS="soon"
    )
    assert variables_of(lines) == {"AUTH_TOKENS_FILE", "TLS_CERT, TLS_KEY", "DRAIN_SECONDS"}


def test_an_authority_that_cannot_be_read_is_told_beside_the_rest(refusal: Refusal, tmp_path: Path) -> None:
    lines = refusal(
        GatewaySettings,
        SESSION_SVC_TLS_CA=tmp_path / "missing",
        GATEWAY_TOKEN="töken",
        SESSION_SVC_ADDRESS="a b",
        TLS_CERT="cert.pem",
    )
    assert variables_of(lines) == {"SESSION_SVC_TLS_CA", "GATEWAY_TOKEN", "SESSION_SVC_ADDRESS", "TLS_CERT, TLS_KEY"}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://localhost",
        "redis://localhost:port/0",
        "redis://localhost:99999",
        "redis://localhost/first",
        "redis://me:secret#word@localhost",
        "redis://[::1",
        "unix://",
    ],
)
def test_a_url_of_redis_that_would_be_taken_for_another_is_refused_without_its_password(
    settings_class: type[ProgramSettings], refusal: Refusal, url: str
) -> None:
    (line,) = refusal(settings_class, REDIS_URL=url)
    assert line.startswith("REDIS_URL: ")
    assert "secret" not in line


@pytest.mark.parametrize(
    "url",
    ["redis://localhost", "redis://me:pass%23word@[::1]:6380/3", "rediss://cache/", "unix:///run/redis.sock?db=1"],
)
def test_every_form_of_a_url_of_redis_is_taken(
    settings_class: type[ServiceSettings], environment: Callable[..., None], url: str
) -> None:
    environment(REDIS_URL=url)
    assert load(settings_class).redis_dsn() == url


@pytest.mark.parametrize("published", ["::::", "http://chat.example.com", "a host"])
def test_a_published_address_that_is_no_host_is_refused(
    settings_class: type[ProgramSettings], refusal: Refusal, published: str
) -> None:
    assert variables_of(refusal(settings_class, PUBLISHED_ADDRESS=published)) == {"PUBLISHED_ADDRESS"}


@pytest.mark.parametrize("published", ["127.0.0.1", "127.0.0.1:3000", "localhost:3000", "::1", "[::1]:3000"])
def test_published_on_this_machine_alone_a_service_may_listen_everywhere(
    settings_class: type[ServiceSettings], environment: Callable[..., None], published: str
) -> None:
    environment(SESSION_SVC_LISTEN="0.0.0.0:0", GATEWAY_LISTEN="[::]:0", PUBLISHED_ADDRESS=published)
    load(settings_class)


@pytest.mark.parametrize("published", ["10.0.0.1", "10.0.0.1:3000", "chat.example.com", "2001:db8::1"])
def test_published_to_others_a_service_without_tokens_does_not_start(
    settings_class: type[ProgramSettings], refusal: Refusal, published: str
) -> None:
    (line,) = refusal(settings_class, PUBLISHED_ADDRESS=published)
    assert "ALLOW_ANONYMOUS" in line
