"""A reply as it is put together from the events of a stream."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

Piece = str | tuple[str, Any]
"""Text, or a part: its type and its data."""


class Draft:
    """The pieces of the last reply in `events`, neighbouring texts joined. AssertionError: one is missing or double."""

    def __init__(self, events: Iterable[Mapping[str, Any]] = ()) -> None:
        self.pieces: list[Piece] = []
        self.reply_id: str | None = None
        self.next = 0
        for event in events:
            self._take(event["type"], event["payload"])

    @classmethod
    def of(cls, chunks: Iterable[str | int]) -> Self:
        """What is written: texts, and numbers as parts {"n": number} of the type `tool`."""
        draft = cls()
        for chunk in chunks:
            draft._push(chunk if isinstance(chunk, str) else ("tool", {"n": chunk}))
        return draft

    @property
    def text(self) -> str:
        """The answer's text so far."""
        return "".join(piece for piece in self.pieces if isinstance(piece, str))

    def _take(self, kind: str, payload: Mapping[str, Any]) -> None:
        match kind:
            case "start":
                self.pieces, self.reply_id, self.next = [], payload["replyId"], 0
            case "snapshot":
                self.pieces, self.reply_id = [], payload["replyId"]
                for chunk in payload["chunks"]:
                    self._push(chunk if isinstance(chunk, str) else (chunk["type"], chunk["data"]))
                self.next = payload["next"]
            case "chunk" | "part":
                assert payload["replyId"] == self.reply_id, f"{payload} is of a reply that was not told"
                assert payload["from"] == self.next, f"{payload} came at {self.next}"
                self._push(payload["content"] if kind == "chunk" else (payload["type"], payload["data"]))
                self.next = payload["to"]

    def _push(self, piece: Piece) -> None:
        if self.pieces and isinstance(piece, str) and isinstance(last := self.pieces[-1], str):
            self.pieces[-1] = last + piece
        else:
            self.pieces.append(piece)
