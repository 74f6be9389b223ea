"""The settings of session-svc."""

from aichat_runtime.settings import Address, ServiceSettings
from pydantic import Field

from session_svc.domain.limits import TTL_MAX_MS


class SessionServiceSettings(ServiceSettings):
    """What session-svc reads from its environment, besides what every service does."""

    session_svc_listen: Address = Field(Address("127.0.0.1", 50051), description="where to serve gRPC")
    redis_ttl: int | None = Field(
        None,
        ge=0,
        le=TTL_MAX_MS // 1000,
        description="seconds that a session without a ttl of its own outlives its last write; 0: for ever",
    )

    @property
    def default_ttl_ms(self) -> int | None:
        """The default time to live in ms; None: sessions do not expire."""
        return self.redis_ttl * 1000 if self.redis_ttl else None
