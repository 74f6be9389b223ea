"""The assistant's settings; see the README for each."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from ai_chat_client import DEFAULT_SERVER, Endpoint
from ai_chat_client.connection import Connection
from aichat_runtime.settings import ProgramSettings
from pydantic import Field, SecretStr, field_validator

ECHO: Final = "echo"
"""As a model's name: no model, the echo."""


class AssistantSettings(ProgramSettings):
    """What the assistant reads from its environment."""

    session_svc_address: str = Field("localhost:50051", min_length=1)
    session_svc_tls_ca: str | None = Field(None, description="a PEM file; with it, or https://, the way is encrypted")
    assistant_token: SecretStr | None = Field(None, description="sent to session-svc")
    assistant_name: str = Field("assistant", min_length=1, max_length=256, description="its author name, its label")
    assistant_model: str | None = Field(None, max_length=256, description="none: echo")
    assistant_system_prompt: str = Field("", description="where a session has no SYSTEM message")
    assistant_history: int = Field(50, ge=1, le=1000, description="how many messages the model is given")
    assistant_max_age: float = Field(600, gt=0, description="seconds after which a question is no longer answered")
    assistant_concurrency: int = Field(8, ge=1, le=1000, description="replies at once")
    assistant_stall_seconds: float = Field(60, gt=0, le=3600, description="a model that says nothing for so long")
    openai_base_url: str | None = None
    openai_api_key: SecretStr | None = None

    @field_validator("openai_base_url")
    @classmethod
    def _base_url_is_one(cls, value: str | None) -> str | None:
        if value is not None and not _is_url(value):
            raise ValueError("no URL of a server; write for example http://localhost:11434/v1 (Ollama)")
        return value

    @field_validator("openai_api_key")
    @classmethod
    def _api_key_can_be_sent(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value else ""
        if not (text.isascii() and text.isprintable()):
            raise ValueError("it holds characters that no key has; is it the right text, or file?")
        return value

    @field_validator("assistant_name")
    @classmethod
    def _name_is_printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("it holds control characters; write a name")
        return value

    @field_validator("session_svc_address")
    @classmethod
    def _address_is_one(cls, value: str) -> str:
        Endpoint.parse(value)
        return value

    @field_validator("assistant_token")
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
        if self.assistant_model not in {None, ECHO} and not self.has_model_server:
            yield (
                "ASSISTANT_MODEL: there is no server for it; set OPENAI_API_KEY (OpenAI itself), "
                "or OPENAI_BASE_URL, for example http://localhost:11434/v1 (Ollama)"
            )
        exposed = self.assistant_token is not None and not self.session_svc_trusted and not self.session_svc_tls
        if exposed and not Endpoint.parse(self.session_svc_address, tls=False).local:
            yield (
                f"ASSISTANT_TOKEN: not sent to {self.session_svc_address} without encryption; give SESSION_SVC_TLS_CA "
                f"or https://, or write http:// before the address where the network between is your own"
            )

    @property
    def has_model_server(self) -> bool:
        """Whether models can be asked at all."""
        return self.openai_base_url is not None or self.openai_api_key is not None

    @property
    def author(self) -> str:
        """What its replies say of who wrote them; with a token "": the service then takes the token's name."""
        return "" if self.assistant_token is not None else self.assistant_name

    @property
    def session_svc_trusted(self) -> bool:
        """Whether a token may go there without encryption: http:// says that the network between is one's own."""
        return self.session_svc_address.startswith("http://")

    @property
    def session_svc_tls(self) -> bool:
        """Whether session-svc is reached by TLS: where a CA is given or the address says so, not by its distance."""
        return self.session_svc_tls_ca is not None or self.session_svc_address.startswith("https://")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:  # The port is no number of one, or a bracket is not closed.
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and text.isprintable() and " " not in text
