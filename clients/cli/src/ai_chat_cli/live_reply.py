"""A reply shown while it is being written, line by line, on a terminal that only ever gets whole lines."""

from collections.abc import Callable, Iterable

from aichat.session.v1 import session_pb2 as model
from rich.text import Text

from ai_chat_cli.render import author_line, status_line
from ai_chat_cli.text import safe, safe_line

Show = Callable[[Text], None]


class LiveReply:
    """One reply from its start, or from when it was first seen, to its end.

    A line is shown when it is complete, or as wide as the screen. `width` in characters.
    """

    def __init__(self, id_: str, author: str, model_name: str, show: Show, width: int) -> None:
        self.id = id_
        self._show = show
        self._width = max(20, width)
        self._said = ""
        self._line = ""
        show(_without_break(author_line(safe_line(author) or safe_line(model_name) or "assistant", "assistant")))

    def add(self, chunks: Iterable[model.Chunk]) -> None:
        """The next pieces."""
        for chunk in chunks:
            if chunk.HasField("part"):
                self._flush()
                self._show(Text(f"[{safe_line(chunk.part.type)}]", "dim"))
            else:
                self._say(chunk.text)

    def replace(self, chunks: Iterable[model.Chunk]) -> None:
        """All that was said, as a new connection tells it: shows what is new of it."""
        self._catch_up("".join(chunk.text for chunk in chunks))

    def end(self, message: model.Message | None) -> None:
        """The reply became `message`; None: nothing had been said."""
        if message is not None:
            self._catch_up(message.content)
        self._flush()
        ending = status_line(message) if message is not None else Text("[nothing was said]", "dim")
        if ending is not None:
            self._show(ending)
        self._show(Text())

    def _catch_up(self, whole: str) -> None:
        if not whole.startswith(self._said):
            self._flush()
            self._show(Text("[the reply is another now]", "dim"))
            self._said = ""
        self._say(whole[len(self._said) :])

    def _say(self, text: str) -> None:
        self._said += text
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._show(Text(safe(line)))
        while len(self._line) > self._width:
            at = self._line.rfind(" ", 1, self._width) + 1 or self._width
            self._show(Text(safe(self._line[:at].rstrip())))
            self._line = self._line[at:]

    def _flush(self) -> None:
        if self._line:
            self._show(Text(safe(self._line)))
            self._line = ""


def _without_break(text: Text) -> Text:
    text.rstrip()
    return text
