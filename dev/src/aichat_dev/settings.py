"""What `make run` reads from the environment: the services' own variables, and where to keep the data."""

import os
from pathlib import Path
from typing import Final, Literal

from aichat_runtime.address import Address
from aichat_runtime.settings import ServiceSettings
from pydantic import Field, SecretStr

DEFAULT_GRPC_PORT: Final = 50051
REDIS_FIELDS: Final = frozenset({"redis_url", "redis_host", "redis_port", "redis_username", "redis_password"})


class RunSettings(ServiceSettings):
    """The settings of one run; everything else in the environment reaches the services as it is."""

    session_svc_listen: Address = Address("127.0.0.1", DEFAULT_GRPC_PORT)
    gateway_listen: Address = Address("127.0.0.1", 3000)
    public_url: str | None = None
    public_grpc_address: str | None = None
    assistant: Literal["on", "off"] = Field("on", description="off: nobody answers")
    assistant_model: str | None = None
    openai_base_url: str | None = None
    openai_api_key: SecretStr | None = None
    data_dir: Path = Field(Path(".data"), description="where the embedded Redis keeps its files")

    @property
    def embeds_redis(self) -> bool:
        """Whether the run brings its own Redis: nothing names another, and storage is not in memory."""
        return self.redis_enabled and not (self.model_fields_set & REDIS_FIELDS)

    @property
    def page_url(self) -> str:
        """Where a browser on this machine finds the page."""
        return self.public_url or f"http://{self.gateway_listen.reachable}/"

    @property
    def who_answers(self) -> str:
        """What the assistant answers with, and how to have another; as the assistant itself decides it."""
        if self.assistant == "off":
            return "none (ASSISTANT=off)"
        if not (self.openai_base_url or self.openai_api_key):
            return "an echo; for a model set ASSISTANT_MODEL, and OPENAI_BASE_URL or OPENAI_API_KEY"
        if self.assistant_model is None:
            return "an echo, where no label names a model; for one everywhere set ASSISTANT_MODEL"
        return f"{self.assistant_model} at {self.openai_base_url or 'OpenAI'}"

    @property
    def is_default_grpc(self) -> bool:
        """Whether every client finds session-svc without being told where."""
        return self.session_svc_listen.is_loopback and self.session_svc_listen.port == DEFAULT_GRPC_PORT

    @property
    def grpc_address(self) -> str:
        """Where a client on this machine finds session-svc."""
        return str(self.session_svc_listen.reachable)


def child_environment(settings: RunSettings, redis_url: str | None) -> dict[str, str]:
    """What every service is told beyond this process's own environment; `redis_url` is the embedded server's."""
    environment = {
        "SESSION_SVC_LISTEN": str(settings.session_svc_listen),
        "SESSION_SVC_ADDRESS": settings.grpc_address,
        "GATEWAY_LISTEN": str(settings.gateway_listen),
        "PUBLIC_GRPC_ADDRESS": _public_grpc_address(settings),
        "LOG_LEVEL": os.environ.get("LOG_LEVEL")
        or "warning",  # Every request else, one line for each file of the page.
        "GRPC_VERBOSITY": os.environ.get("GRPC_VERBOSITY") or "ERROR",  # The library's own lines are in no log format.
        "LOG_FORMAT": os.environ.get("LOG_FORMAT") or "console",  # Read by a person, although through a pipe.
        "DRAIN_SECONDS": os.environ.get("DRAIN_SECONDS") or "1",  # Ctrl-C should not wait for open browser tabs.
    }
    return environment if redis_url is None else {**environment, "REDIS_URL": redis_url}


def _public_grpc_address(settings: RunSettings) -> str:
    if settings.public_grpc_address:
        return settings.public_grpc_address
    return f"localhost:{DEFAULT_GRPC_PORT}" if settings.is_default_grpc else settings.grpc_address
