"""Where a chat is read from and shown."""

from typing import Protocol, Self

from rich.console import RenderableType

from ai_chat_cli import output


class Interrupted(Exception):
    """The user wants to leave at once."""


class Screen(Protocol):
    """A terminal, or what stands in for one. Async context manager: in it lines are read and shown."""

    interactive: bool
    """Whether a person sits there, who can correct a mistake."""

    async def read(self, draft: str = "") -> str | None:
        """The next message or command, possibly of several lines; None at the end. Interrupted to leave at once.

        `draft`: a text to begin with, where it can be edited.
        """

    async def ask(self, question: str) -> str | None:
        """The answer to a question; None at the end."""

    def show(self, renderable: RenderableType) -> None:
        """Data, as whole lines, at any moment, also while a line is being typed."""

    def note(self, text: str) -> None:
        """A remark."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc_info: object) -> None: ...


class Printing:
    """What all screens share: data goes to stdout, remarks to stderr."""

    def show(self, renderable: RenderableType) -> None:
        output.show(renderable)

    def note(self, text: str) -> None:
        output.note(text)
