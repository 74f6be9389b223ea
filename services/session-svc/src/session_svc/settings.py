"""The settings of session-svc."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from aichat_runtime.address import Address
from aichat_runtime.settings import ProgramSettings, ServiceSettings
from pydantic import Field

from session_svc.domain.limits import MIB, TTL_MAX_MS
from session_svc.identity import token_file

LISTEN: Final = Address("127.0.0.1", 50051)


class SessionServiceSettings(ServiceSettings):
    """What session-svc reads from its environment, besides what every service does.

    The gateway has limits of the same names with other defaults: a caller there is a person, here perhaps a gateway.
    """

    session_svc_listen: Address = Field(LISTEN, description="where to serve gRPC")
    limit_token_requests: float = Field(1_000, ge=0, description="calls a second under one token; 0: no limit")
    limit_token_bytes: float = Field(32 * MIB, ge=0, description="bytes of requests a second under one token")
    limit_token_streams: int = Field(2_000, ge=0, description="streams open at once under one token; 0: no limit")
    limit_address_requests: float = Field(4_000, ge=0, description="as LIMIT_TOKEN_REQUESTS, from one address")
    limit_address_bytes: float = Field(128 * MIB, ge=0, description="as LIMIT_TOKEN_BYTES, from one address")
    limit_address_calls: int = Field(2_000, ge=0, description="calls under way at once from one address; 0: no limit")
    limit_address_streams: int = Field(8_000, ge=0, description="as LIMIT_TOKEN_STREAMS, from one address")
    limit_calls: int = Field(10_000, ge=1, description="calls under way at once, of all callers together")
    limit_streams: int = Field(10_000, ge=1, description="streams open at once, of all callers together")
    limit_connections: int = Field(10_000, ge=1, description="connections at once, of all callers together")
    redis_ttl: int | None = Field(
        None,
        ge=0,
        le=TTL_MAX_MS // 1000,
        description="seconds that a session without a ttl of its own outlives its last write; 0: for ever",
    )

    def problems(self) -> Iterator[str]:
        """See ProgramSettings."""
        yield from super().problems()
        refusal = self.refusal_to_publish(self.session_svc_listen, "SESSION_SVC_LISTEN")
        if refusal:
            yield refusal
        if self.auth_tokens_file:
            try:
                token_file.read(self.auth_tokens_file)
            except token_file.UnusableTokensError as error:
                yield f"AUTH_TOKENS_FILE: {error}"

    @property
    def default_ttl_ms(self) -> int | None:
        """The default time to live in ms; None: sessions do not expire."""
        return self.redis_ttl * 1000 if self.redis_ttl else None


class HealthSettings(ProgramSettings):
    """What `session-svc health` reads: where to ask."""

    session_svc_listen: Address = LISTEN
    tls_cert: Path | None = None


class TokenSettings(ProgramSettings):
    """What `session-svc token` reads: it works whatever else may be wrong."""

    auth_tokens_file: Path | None = None
