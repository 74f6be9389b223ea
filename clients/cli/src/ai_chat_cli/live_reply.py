"""A reply shown while it is being written."""

from collections.abc import Iterable

from aichat.session.v1 import session_pb2 as model
from rich.cells import cell_len, chop_cells
from rich.text import Text

from ai_chat_cli.display import Display
from ai_chat_cli.render import author_line, status_line
from ai_chat_cli.text import SafePieces, safe_line


class Said:
    """What has been said of one reply, as it was said."""

    def __init__(self) -> None:
        self.text = ""

    def more(self, text: str) -> str:
        """Takes the next piece and returns it."""
        self.text += text
        return text

    def whole(self, text: str) -> str | None:
        """Takes all of it, as a snapshot or the stored message tells it; returns what is new, None if it is another."""
        known, self.text = self.text, text
        return text[len(known) :] if text.startswith(known) else None


class LiveReply:
    """One reply from its start, or from when it was first seen, to its end.

    `width`: of the display, in cells, where a line that is being written must fit in; None where it need not.
    """

    def __init__(self, id_: str, author: str, model_name: str, display: Display, width: int | None) -> None:
        self.id = id_
        self._display = display
        self._width = max(20, width) if width is not None else None
        self._heading = safe_line(author) or safe_line(model_name) or "assistant"
        self._said = Said()
        self._line = ""
        self._pieces = SafePieces()
        self._part = ""
        self._broken = False
        self._head()

    def add(self, chunks: Iterable[model.Chunk]) -> None:
        """The next pieces."""
        for chunk in chunks:
            if chunk.HasField("part"):
                self._tell_part(chunk.part.type)
            else:
                self._write(self._said.more(chunk.text))

    def replace(self, chunks: Iterable[model.Chunk]) -> None:
        """All that was said, as a new connection tells it: shows what is new of it."""
        self._catch_up("".join(chunk.text for chunk in chunks))

    def end(self, message: model.Message | None) -> None:
        """The reply became `message`; None: nothing had been said, or nothing of it is kept."""
        if message is not None:
            self._catch_up(message.content)
        self._end_line()
        if message is not None:
            ending = status_line(message)
        else:
            ending = Text("[nothing of it is kept]" if self._said.text else "[nothing was said]", "bold red")
        if ending is not None:
            self._display.show(ending)
        self._display.show(Text())

    def give_way(self) -> None:
        """Something else is shown now; what is said next is headed again."""
        self._end_line()
        self._broken = True

    def _head(self, remark: str = "") -> None:
        line = author_line(self._heading, "assistant")
        line.rstrip()
        self._display.show(line.append(remark, "dim"))

    def _catch_up(self, whole: str) -> None:
        news = self._said.whole(whole)
        if news is None:
            self._end_line()
            self._display.show(Text("[the reply is another now]", "dim"))
            news = whole
        self._write(news)

    def _tell_part(self, type_: str) -> None:
        """Says once that there are parts of a type, however many come in a row."""
        if type_ != self._part:
            self._end_line()
            self._display.show(Text(f"[{safe_line(type_)}]", "dim"))
            self._part = type_

    def _write(self, text: str) -> None:
        if not text:
            return
        text = self._pieces.next(text)
        if self._broken:
            self._broken = False
            self._head(" (continued)")
        self._part = ""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._display.show(Text(line))
        while self._width is not None and cell_len(self._line) > self._width:
            at = self._break_at(self._width)
            self._display.show(Text(self._line[:at].rstrip()))
            self._line = self._line[at:]
        self._display.draft(self._line)

    def _break_at(self, width: int) -> int:
        """Where to break a line that is too long: after a blank, else where the display ends."""
        fitting = len(chop_cells(self._line, width)[0])
        return self._line.rfind(" ", 1, fitting) + 1 or fitting

    def _end_line(self) -> None:
        if self._line:
            line, self._line = self._line, ""
            self._display.show(Text(line))
        self._display.draft("")
