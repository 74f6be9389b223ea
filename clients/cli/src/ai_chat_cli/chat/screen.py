"""Where a chat is read from and shown."""

from collections.abc import Callable
from typing import Protocol, Self

from ai_chat_cli.display import Display


class Interrupted(Exception):
    """The user wants to leave at once."""


class Screen(Display, Protocol):
    """A terminal, or what stands in for one. Async context manager: in it lines are read and shown."""

    interactive: bool
    """Whether a person sits there, who can correct a mistake."""
    stop: Callable[[], bool]
    """Asked at Ctrl-C, before anything else is done about it: stops what runs, False when nothing does."""

    async def read(self, draft: str = "") -> str | None:
        """The next message or command, possibly of several lines; None at the end. Interrupted to leave at once.

        `draft`: a text to begin with, where it can be edited.
        """

    async def ask(self, question: str) -> str | None:
        """The answer to a question; None at the end."""

    def width(self) -> int | None:
        """How many cells wide a line that is being written may be; None: any."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc_info: object) -> None: ...


def nothing_runs() -> bool:
    """A `stop` that has nothing to stop."""
    return False
