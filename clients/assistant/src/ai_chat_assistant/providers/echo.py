"""An answer without a model: what was said, and how to have a real one."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from ai_chat_assistant.providers.base import Piece, Text, Turn

WORD_SECONDS: Final = 0.03
QUOTED_CHARACTERS: Final = 2000

_ADVICE: Final = (
    "I am the echo: no model is configured. To have one answer, start the assistant with `ASSISTANT_MODEL` and "
    "`OPENAI_API_KEY` (OpenAI), or with `OPENAI_BASE_URL` for any server that speaks its protocol, "
    "for example `OPENAI_BASE_URL=http://localhost:11434/v1 ASSISTANT_MODEL=llama3.2` (Ollama)."
)


class Echo:
    """Streams the question back word by word; needs nothing."""

    def __init__(self, *, word_seconds: float = WORD_SECONDS) -> None:
        self._word_seconds = word_seconds

    async def answer(self, model: str, turns: Sequence[Turn]) -> AsyncGenerator[Piece, None]:
        """See Provider; `model` does not matter."""
        del model
        said = next((turn.content for turn in reversed(turns) if turn.role == "user"), "")
        quoted = said if len(said) <= QUOTED_CHARACTERS else f"{said[:QUOTED_CHARACTERS]} …"
        for word in re.findall(r"\s*\S+\s*$|\s*\S+", f"You said: {quoted}\n\n{_ADVICE}"):
            yield Text(word)
            await asyncio.sleep(self._word_seconds)

    async def close(self) -> None:
        """See Provider."""
