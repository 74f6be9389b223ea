"""Where a watched session is shown: whole lines, remarks, and the line that is still being written."""

import sys
from typing import Protocol

from rich.console import RenderableType
from rich.text import Text

from ai_chat_cli import output


class Display(Protocol):
    """A screen, or what stands in for one."""

    def show(self, renderable: RenderableType) -> None:
        """Data, as whole lines, at any moment."""

    def note(self, text: str) -> None:
        """A remark."""

    def draft(self, text: str) -> None:
        """All of the line that is being written, again and again as it grows; safe text, "" for none.

        When the line is complete it is shown, and then belongs to what is above.
        """


class Written:
    """stdout, to which a line goes while it is being written."""

    def __init__(self) -> None:
        self._drafted = ""

    def show(self, renderable: RenderableType) -> None:
        """See Display."""
        drafted, self._drafted = self._drafted, ""
        if not drafted:
            output.show(renderable)
        elif isinstance(renderable, Text) and renderable.plain.startswith(drafted):
            output.data(renderable.plain[len(drafted) :])
        else:
            output.data("")
            output.show(renderable)

    def note(self, text: str) -> None:
        """See Display."""
        if self._drafted and output.is_terminal():
            self._end_line()
        output.note(text)

    def draft(self, text: str) -> None:
        """See Display."""
        if not text.startswith(self._drafted):
            self._end_line()
        sys.stdout.write(text[len(self._drafted) :])
        sys.stdout.flush()
        self._drafted = text

    def _end_line(self) -> None:
        self._drafted = ""
        output.data("")
