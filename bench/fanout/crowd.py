"""The viewers, as the one who measures sees them: a process that does what it is told."""

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

from bench.fanout.crowd_process import OPEN_SECONDS, Begin, Close, Command, Finish, Open, Rejoin, Tally, play

_ANSWER_SECONDS: Final = OPEN_SECONDS + 30.0
_GRACE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Crowd:
    """Viewers in groups, one for each server; one group at a time is counted."""

    pipe: Connection

    def open(self, group: str, address: str, requests: Sequence[tuple[int, bytes]]) -> None:
        """Opens streams at `address`, one for each (number of session, request), and returns when all have begun."""
        self.send_open(group, address, requests)
        self.answer()

    def send_open(self, group: str, address: str, requests: Sequence[tuple[int, bytes]]) -> None:
        """As `open`, for a caller who has something to do meanwhile: the next thing to call is `answer`."""
        host, _, port = address.rpartition(":")
        self.pipe.send(Open(group, (host, int(port)), requests))

    def close(self, group: str) -> None:
        """Closes the streams of a group."""
        self._tell(Close(group))

    def begin(self, group: str, run: int, expected: Sequence[int], *, stride: int = 1) -> None:
        """Counts what `group` is told in `run`; `expected`: events, by number of session."""
        self._tell(Begin(group, run, expected, stride))

    def finish(self, seconds: float, *, grace: float = _GRACE_SECONDS) -> Tally:
        """What was told, once everything was, or after `seconds`."""
        tally = self._tell(Finish(seconds, grace), seconds + grace)
        assert tally is not None
        return tally

    def rejoin(self, group: str) -> None:
        """Drops all streams of `group` and asks for them again; returns at once."""
        self._tell(Rejoin(group))

    def answer(self, seconds: float = 0.0) -> Tally | None:
        """The answer to what the viewers were told to do, which by itself takes so many seconds."""
        if not self.pipe.poll(seconds + _ANSWER_SECONDS):
            raise TimeoutError("the viewers do not answer")
        answer: Tally | None = self.pipe.recv()
        return answer

    def _tell(self, command: Command, seconds: float = 0.0) -> Tally | None:
        self.pipe.send(command)
        return self.answer(seconds)


@contextmanager
def crowd() -> Iterator[Crowd]:
    """A process of viewers."""
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(target=play, args=(there,), daemon=True, name="viewers")
    process.start()
    there.close()
    try:
        yield Crowd(here)
    finally:
        here.close()
        process.join(5)
        process.kill()
