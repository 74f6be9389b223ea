"""Which provider and model answer a session."""

from collections.abc import Mapping
from typing import Self

from ai_chat_assistant.providers.base import Provider
from ai_chat_assistant.providers.echo import Echo
from ai_chat_assistant.settings import ECHO, AssistantSettings

MODEL_LABEL = "model"
_MODEL_CHARACTERS = 256


class Providers:
    """The providers that the settings allow."""

    def __init__(self, *, echo: Provider, model_server: Provider | None, default_model: str | None) -> None:
        self._echo = echo
        self._model_server = model_server
        self._default_model = default_model

    @classmethod
    def of(cls, settings: AssistantSettings) -> Self:
        """Builds them."""
        server: Provider | None = None
        if settings.has_model_server:
            from ai_chat_assistant.providers.openai_compatible import (  # noqa: PLC0415 - It costs seconds; the echo and `health` need none.
                OpenAICompatible,
            )

            key = settings.openai_api_key
            server = OpenAICompatible(
                base_url=settings.openai_base_url,
                api_key=key.get_secret_value() if key else None,
                stall_seconds=settings.assistant_stall_seconds,
            )
        return cls(echo=Echo(), model_server=server, default_model=settings.assistant_model)

    def choose(self, labels: Mapping[str, str]) -> tuple[str, Provider]:
        """The model's name and who asks it; without a model, or a server to ask, the echo."""
        model = labels.get(MODEL_LABEL, "")[:_MODEL_CHARACTERS] or self._default_model or ECHO
        if model == ECHO or self._model_server is None:
            return ECHO, self._echo
        return model, self._model_server

    async def close(self) -> None:
        """Closes them all."""
        await self._echo.close()
        if self._model_server is not None:
            await self._model_server.close()
