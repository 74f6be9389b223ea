"""The gateway's settings; see the README for each."""

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from ai_chat_client import DEFAULT_SERVER, Endpoint
from ai_chat_client.connection import Connection
from aichat_runtime.address import Address, is_loopback
from aichat_runtime.settings import ServiceSettings
from pydantic import BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def _listed(value: object) -> object:
    return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value


class GatewaySettings(ServiceSettings):
    """What stream-gateway reads from its environment."""

    web_stream_enabled: bool = True
    gateway_listen: Address = Address("127.0.0.1", 3000)
    session_svc_address: str = "localhost:50051"
    session_svc_tls_ca: str | None = None
    gateway_token: SecretStr | None = None
    public_url: str | None = None
    public_grpc_address: str = Field("localhost:50051", min_length=1, max_length=300)
    gateway_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = ()
    gateway_write: bool | None = None
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = ()
    limit_token_requests: float = Field(50, ge=0, description="a second; 0: no limit")
    limit_address_requests: float = Field(200, ge=0, description="a second; 0: no limit")
    limit_token_bytes: float = Field(1024 * 1024, ge=0, description="of bodies, a second; 0: no limit")
    limit_address_bytes: float = Field(4 * 1024 * 1024, ge=0, description="of bodies, a second; 0: no limit")
    limit_token_streams: int = Field(100, ge=0, description="open at once; 0: no limit")
    limit_address_streams: int = Field(1000, ge=0, description="open at once; 0: no limit")

    @field_validator("public_url")
    @classmethod
    def _public_url_is_one(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{value!r} is no URL of a site; write for example https://chat.example.com/ai-chat/")
        return value

    @field_validator("gateway_hosts")
    @classmethod
    def _hosts_are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if "/" in host or host == "*":
                raise ValueError(f"{host!r} is no host name; write names without scheme and port: chat.example.com")
        return tuple(host.strip("[]").rstrip(".").lower() for host in value)

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            if (
                f"{parts.scheme}://{parts.netloc}" != origin
                or parts.scheme not in ("http", "https")
                or not parts.netloc
            ):
                raise ValueError(f"{origin!r} is no origin; write scheme and host: https://board.example.com")
        return tuple(origin.lower() for origin in value)

    @field_validator("session_svc_address", "public_grpc_address")
    @classmethod
    def _address_is_one(cls, value: str) -> str:
        Endpoint.parse(value)
        return value

    @field_validator("gateway_token")
    @classmethod
    def _token_can_be_sent(cls, value: SecretStr | None) -> SecretStr | None:
        Connection(DEFAULT_SERVER, token=value.get_secret_value() if value else None)
        return value

    @field_validator("session_svc_tls_ca")
    @classmethod
    def _ca_can_be_read(cls, value: str | None) -> str | None:
        Connection(DEFAULT_SERVER, tls=True, tls_ca=value)
        return value

    def problems(self) -> Iterator[str]:
        """See ProgramSettings."""
        yield from super().problems()
        if self.tokens_required and self.web_stream_enabled and self.gateway_token is None:
            yield (
                "GATEWAY_TOKEN: missing; with it the gateway reads what its viewers share. Make one with "
                "`session-svc token create gateway --scope read`"
            )
        refusal = self.refusal_to_publish(self.gateway_listen, "GATEWAY_LISTEN")
        if refusal:
            yield refusal

    @property
    def session_svc_tls(self) -> bool:
        """Whether session-svc is reached by TLS: where a CA is given or the address says so, not by its distance.

        Within one deployment's network (a container's name, a Kubernetes service) plaintext is the rule.
        """
        return self.session_svc_tls_ca is not None or self.session_svc_address.startswith("https://")

    @property
    def tokens_required(self) -> bool:
        """Whether every visitor has to bring a token of its own, which session-svc verifies."""
        return super().tokens_required or self.gateway_token is not None

    @property
    def hosts(self) -> frozenset[str] | None:
        """The names under which the gateway may be asked for. None: any.

        A name that somebody else points at us makes their page ours. That is of use only where browsers need no token:
        they send the cookie to none but the name that set it.
        """
        if self.tokens_required and not self.gateway_hosts:
            return None
        named = self.gateway_hosts or LOOPBACK_NAMES
        public = urlsplit(self.public_url).hostname if self.public_url else None
        return frozenset(named) | ({public} if public else frozenset())

    @property
    def public_origin(self) -> str | None:
        """Scheme and authority of PUBLIC_URL, as browsers write an Origin."""
        if not self.public_url:
            return None
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}".lower()

    @property
    def path_prefix(self) -> str:
        """The path of PUBLIC_URL without the slash at its end: empty for a site of its own."""
        return urlsplit(self.public_url).path.rstrip("/") if self.public_url else ""

    @property
    def is_published_on_loopback(self) -> bool:
        """Whether only this machine can reach the gateway."""
        return is_loopback(self.published_address or self.gateway_listen.host)
