"""Any server that speaks the protocol of OpenAI's chat completions: OpenAI, OpenRouter, Ollama, vLLM, ..."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import Final, cast
from urllib.parse import urlsplit

import openai
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from ai_chat_assistant.providers.base import Facts, ModelError, Piece, Reasoning, Text, Turn

OPENAI_URL: Final = "https://api.openai.com/v1"
RETRIES: Final = 2
"""How often a call is repeated that was refused or not answered; never once an answer has begun."""
CONNECT_SECONDS: Final = 10.0

_NO_KEY: Final = "none"  # Local servers want no key, the library wants some.
_QUOTED_CHARACTERS: Final = 300
_REASONING_FIELDS: Final = ("reasoning_content", "reasoning")
"""Where servers that have it put it: DeepSeek and vLLM, OpenRouter and Ollama. The library passes both on."""


class OpenAICompatible:
    """Asks the server at `base_url` (None: OpenAI's own). A model that is silent for `stall_seconds` has failed."""

    def __init__(self, *, base_url: str | None, api_key: str | None, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
        self._api_key = api_key
        self._server = urlsplit(base_url or OPENAI_URL).hostname or "the model server"
        self._client = openai.AsyncOpenAI(
            api_key=api_key or _NO_KEY,
            base_url=base_url or OPENAI_URL,
            max_retries=RETRIES,
            timeout=openai.Timeout(stall_seconds, connect=min(CONNECT_SECONDS, stall_seconds)),
        )

    async def answer(self, model: str, turns: Sequence[Turn]) -> AsyncGenerator[Piece, None]:
        """See Provider."""
        facts: dict[str, object] = {}
        answered = said = False
        try:
            stream = await self._client.chat.completions.create(
                model=model,
                messages=[cast("ChatCompletionMessageParam", _message(turn)) for turn in turns],
                stream=True,
                stream_options={"include_usage": True},
            )
            async with stream:
                chunks = aiter(stream)
                while (chunk := await self._next(chunks)) is not None:
                    answered = True
                    for piece in _pieces(chunk, facts):
                        said = said or isinstance(piece, Text)
                        yield piece
        except (openai.OpenAIError, ValueError, TimeoutError) as error:
            raise ModelError(self._explain(error, model, answered=answered)) from error
        if not answered:
            raise ModelError(f"{self._server} sent something that is no answer; is OPENAI_BASE_URL right?")
        if "finish_reason" not in facts:
            raise ModelError(f"the answer broke off: {self._server} ended it unfinished")
        if not said:
            raise ModelError(f"{model} gave an empty answer (finish reason: {facts['finish_reason']})")
        yield Facts(facts)

    async def close(self) -> None:
        """See Provider."""
        await self._client.close()

    async def _next(self, chunks: AsyncIterator[ChatCompletionChunk]) -> ChatCompletionChunk | None:
        async with asyncio.timeout(self._stall_seconds):
            return await anext(chunks, None)

    def _explain(self, error: Exception, model: str, *, answered: bool) -> str:
        match error:
            case openai.AuthenticationError():
                return f"{self._server} refused the API key (401); check OPENAI_API_KEY"
            case openai.PermissionDeniedError():
                return f"{self._server} does not allow this (403){self._quote(error)}"
            case openai.NotFoundError():
                return f"{self._server} has no model {model} (404){self._quote(error)}"
            case openai.RateLimitError():
                return f"{self._server} is busy, or its quota is used up (429){self._quote(error)}"
            case openai.APIStatusError():
                return f"{self._server} refused or failed ({error.status_code}){self._quote(error)}"
            case openai.APITimeoutError() | TimeoutError():
                return f"{model} said nothing for {self._stall_seconds:g} s"
            case openai.APIConnectionError() if answered:
                return f"the answer broke off: the connection to {self._server} was lost"
            case openai.APIConnectionError():
                return f"{self._server} cannot be reached; check OPENAI_BASE_URL"
            case openai.APIError():
                return f"{self._server} failed{self._quote(error)}"
            case _:
                return f"{self._server} sent something that is no answer"

    def _quote(self, error: openai.APIError) -> str:
        """What the server itself says, cut, and without our key, which some servers repeat."""
        body = error.body
        text = body.get("message") if isinstance(body, dict) else error.message if body is None else None
        if not isinstance(text, str) or not text.strip():
            return ""
        if self._api_key:
            text = text.replace(self._api_key, "***")
        return f": {' '.join(text.split())[:_QUOTED_CHARACTERS]}"


def _message(turn: Turn) -> dict[str, str]:
    return {"role": turn.role, "content": turn.content}


def _pieces(chunk: object, facts: dict[str, object]) -> Iterator[Piece]:
    """What a chunk says; facts go to `facts`. The library does not check what servers send: nothing is assumed here.

    Raises ValueError when it is no chunk.
    """
    if not isinstance(chunk, ChatCompletionChunk):
        raise ValueError("no chunk")  # noqa: TRY004 - Sent by a server, not passed by a caller.
    usage = getattr(chunk, "usage", None)
    if isinstance(usage, openai.BaseModel):
        facts["usage"] = usage.model_dump(mode="json", exclude_none=True, warnings=False)
    choices = getattr(chunk, "choices", None)
    for choice in choices[:1] if isinstance(choices, list) else ():
        delta = getattr(choice, "delta", None)
        for name in _REASONING_FIELDS:
            thought = getattr(delta, name, None)
            if isinstance(thought, str) and thought:
                yield Reasoning(thought)
                break
        content = getattr(delta, "content", None)
        if isinstance(content, str) and content:
            yield Text(content)
        reason = getattr(choice, "finish_reason", None)
        if isinstance(reason, str):
            facts["finish_reason"] = reason
