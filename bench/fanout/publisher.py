"""The publisher, as the one who measures sees it: a process that does what it is told."""

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

from bench.fanout.publisher_process import Begin, Command, End, Publish, Target, Topic, press

_ANSWER_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes the replies of a run, one in each session, all at a time."""

    pipe: Connection

    def begin(self, target: Target, topics: Sequence[Topic], run: int) -> None:
        """Announces the replies."""
        self._tell(Begin(target, topics, run))

    def publish(self, target: Target, topics: Sequence[Topic], run: int, *, rate: float, events: int) -> None:
        """Publishes `events` in all, `rate` a second; returns when the last has been sent."""
        self._tell(Publish(target, topics, run, rate, events))

    def end(self, target: Target, topics: Sequence[Topic], run: int) -> None:
        """Ends the replies."""
        self._tell(End(target, topics, run))

    def _tell(self, command: Command) -> None:
        self.pipe.send(command)
        if not self.pipe.poll(_ANSWER_SECONDS):
            raise TimeoutError("the publisher does not get rid of its events")
        self.pipe.recv()


def expected(events: int, sessions: int) -> list[int]:
    """How many of `events` are of each session: they go round."""
    return [(events - number + sessions - 1) // sessions for number in range(sessions)]


@contextmanager
def publisher() -> Iterator[Publisher]:
    """A process that publishes."""
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(target=press, args=(there,), daemon=True, name="publisher")
    process.start()
    there.close()
    try:
        yield Publisher(here)
    finally:
        here.close()
        process.join(5)
        process.kill()
