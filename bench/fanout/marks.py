"""The events that are sent: a reply's chunks as session-svc publishes them, each text with a mark to know it by again.

A mark is `[run:sequence:microseconds]`: which run, which event of its session in that run (from 0), and when it was
due, on the clock that all processes of one machine share. Marks are found again in whatever a server makes of the
text: in chunks, in several chunks joined to one, in snapshots.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

CHANNEL_PREFIX: Final = "ai-chat:stream:"
MICROSECONDS: Final = 1_000_000

_FOUND: Final = re.compile(rb'"type":"(\w+)"|\[(\d+):(\d+):(\d+)\]')
_LIVE: Final = b"chunk"
_WHOLE: Final = b"snapshot"
_FINAL: Final = (b"complete", b"message")


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one run found in a piece of a stream, in order.

    whole  they are all there is until now, in place of what was told before
    final  they are those of the finished message, which repeats what viewers who were there have been told
    """

    run: int
    sequences: Sequence[int]
    due: Sequence[int]
    whole: bool = False
    final: bool = False

    @property
    def first(self) -> int:
        """The first sequence."""
        return self.sequences[0]

    @property
    def is_row(self) -> bool:
        """Whether the sequences follow one another without a hole."""
        return isinstance(self.sequences, range)


def now() -> int:
    """Microseconds on the machine's monotonic clock."""
    return time.monotonic_ns() // 1000


def mark(run: int, sequence: int, due: int) -> str:
    """A token of a reply, about as long as a word, that can be found again."""
    return f"[{run}:{sequence}:{due}] words"


def start(run: int, position: str) -> bytes:
    """The event that begins the reply of a run."""
    return _event("start", f'{{"replyId":"run-{run}","author":"bench","model":"bench"}}', position)


def chunk(run: int, sequence: int, due: int, position: str) -> bytes:
    """The event of one token: chunk `sequence` of the reply of that run."""
    content = mark(run, sequence, due)
    return _event(
        "chunk",
        f'{{"content":"{content}","replyId":"run-{run}","from":{sequence},"to":{sequence + 1}}}',
        position,
    )


def complete(run: int, position: str) -> bytes:
    """The event that ends the reply of a run without a message: the session stays as it was."""
    return _event("complete", f'{{"replyId":"run-{run}"}}', position)


def find(data: bytes) -> list[Marks]:
    """The marks in whole events, a row of equal run and kind at a time."""
    found: list[Marks] = []
    sequences: list[int] = []
    due: list[int] = []
    run = -1
    kind = b""

    def close() -> None:
        if sequences:
            found.append(Marks(run, _compact(sequences), tuple(due), kind != _LIVE, kind in _FINAL))
            sequences.clear()
            due.clear()

    for type_, of_run, sequence, at in _FOUND.findall(data):
        if type_:
            if type_ != kind or type_ == _WHOLE:
                close()
                kind = type_
        elif kind in (_LIVE, _WHOLE, *_FINAL):
            number = int(of_run)
            if number != run:
                close()
                run = number
            sequences.append(int(sequence))
            due.append(int(at))
    close()
    return found


def _compact(sequences: list[int]) -> Sequence[int]:
    row = range(sequences[0], sequences[0] + len(sequences))
    return row if sequences == list(row) else tuple(sequences)


def _event(type_: str, payload: str, position: str) -> bytes:
    when = time.time_ns() // 1_000_000
    return f'{{"type":"{type_}","payload":{payload},"timestamp":{when},"position":"{position}"}}'.encode()
