"""What a provider is."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation, as a model is given it."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of what the model thinks before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an answer besides its text, as JSON: `usage`, `finish_reason`. Comes last, if at all."""

    values: Mapping[str, object]


Piece = Text | Reasoning | Facts


class ModelError(Exception):
    """No answer, or no whole one. The text is for the people in the session: one sentence, no secrets."""


class Provider(Protocol):
    """Answers conversations."""

    def answer(self, model: str, turns: Sequence[Turn]) -> AsyncGenerator[Piece, None]:
        """Yields the answer of `model` to the last of `turns` as it comes. Raises ModelError."""

    async def close(self) -> None:
        """Frees what it holds; no answer is under way any more."""
