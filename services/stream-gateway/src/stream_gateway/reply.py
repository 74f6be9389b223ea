"""The reply that is being written in one session, and all that has been said of it: whoever comes is told that."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from stream_gateway.budget import Budget
from stream_gateway.verdict import Verdict

OVERHEAD_BYTES: Final = 64
"""What a piece costs beside its text."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a reply that is not answer text: `{"type":...,"data":...}` as it was published."""

    json: str


Piece = str | Part


@dataclass(frozen=True, slots=True)
class Beginning:
    """A reply begins."""

    reply_id: str
    author: str = ""
    model: str = ""


class Extension(NamedTuple):
    """Chunks `first` to `next`, exclusive, of a reply."""

    reply_id: str
    first: int
    next: int
    piece: Piece


@dataclass(frozen=True, slots=True)
class Told:
    """A whole reply at one moment: what has been said, and the number of the chunk that comes next."""

    beginning: Beginning
    pieces: tuple[Piece, ...]
    next: int

    def to_json(self) -> str:
        """The payload of `snapshot`: {replyId, author, model, chunks, next}; neighbouring texts are joined."""
        about = self.beginning
        chunks = ",".join(quote(piece) if isinstance(piece, str) else piece.json for piece in _joined(self.pieces))
        return (
            f'{{"replyId":{quote(about.reply_id)},"author":{quote(about.author)},"model":{quote(about.model)},'
            f'"chunks":[{chunks}],"next":{self.next}}}'
        )


class LiveReply:
    """A reply and all that has been said of it, unless that was `let_go`. Counted in the budget until `release`."""

    def __init__(self, told: Told, budget: Budget) -> None:
        self.id = told.beginning.reply_id
        self.next = told.next
        self._beginning = told.beginning
        self._budget = budget
        self._size = 0
        self._pieces: list[Piece] | None = []
        for piece in told.pieces:
            self._keep(piece)

    @property
    def is_held(self) -> bool:
        """Whether all that has been said is still known here."""
        return self._pieces is not None

    def judge(self, extension: Extension) -> Verdict:
        """Says whether an extension of this reply comes next."""
        if extension.first == self.next:
            return Verdict.NEXT
        return Verdict.KNOWN if extension.next <= self.next else Verdict.HOLE

    def extend(self, extension: Extension) -> None:
        """Takes what comes next."""
        self.next = extension.next
        self._keep(extension.piece)

    def to_json(self) -> str:
        """The payload of `snapshot`."""
        self._pieces = _joined(self._pieces or ())
        return Told(self._beginning, tuple(self._pieces), self.next).to_json()

    def let_go(self) -> None:
        """Keeps only how far it is."""
        self._pieces = None
        self.release()

    def release(self) -> None:
        """Gives back to the budget what it held."""
        self._budget.used -= self._size
        self._size = 0

    def _keep(self, piece: Piece) -> None:
        if self._pieces is None:
            return
        self._pieces.append(piece)
        size = OVERHEAD_BYTES + len(piece if isinstance(piece, str) else piece.json)
        self._size += size
        self._budget.used += size


def _joined(pieces: Iterable[Piece]) -> list[Piece]:
    """The same pieces, neighbouring texts as one."""
    joined: list[Piece] = []
    for is_text, run in groupby(pieces, lambda piece: isinstance(piece, str)):
        if is_text:
            joined.append("".join(piece for piece in run if isinstance(piece, str)))
        else:
            joined += run
    return joined


def quote(text: str) -> str:
    """A JSON string. A lone surrogate, which UTF-8 has no bytes for, stays the escape that it came as."""
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if quoted.isascii() else quoted.encode(errors="backslashreplace").decode()
