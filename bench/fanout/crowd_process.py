"""The process that plays the viewers. It does what its parent says over a pipe; `Crowd` is the parent's end of it."""

import gc
import select
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

from bench.fanout import marks
from bench.fanout.ledger import Ledger
from bench.fanout.reading import Pieces, ViewerSocket

OPEN_SECONDS: Final = 60.0
_AT_ONCE: Final = 256
"""So many connections are being opened at a time: fewer than any server's backlog."""


@dataclass(frozen=True, slots=True)
class Open:
    """Opens streams at `address`: one for each request, with the number of the session that it is about."""

    group: str
    address: tuple[str, int]
    requests: Sequence[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Close:
    """Closes the streams of a group."""

    group: str


@dataclass(frozen=True, slots=True)
class Begin:
    """Counts from now on what a group is told in a run: `expected` events of each session, by its number.

    stride  the latency is noted at every so manieth viewer
    """

    group: str
    run: int
    expected: Sequence[int]
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Finish:
    """Waits until all have been told everything, or for `seconds`, and answers with a Tally."""

    seconds: float
    grace: float


@dataclass(frozen=True, slots=True)
class Rejoin:
    """Drops every stream of a group at once and asks for it again, as it was asked for the first time."""

    group: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What viewers were told in a run.

    told, missing, doubled  events, over all viewers
    closed     streams that the server ended
    latencies  microseconds from the moment an event was due until it was read, sorted
    returns    microseconds from a rejoin until a viewer was told something again, sorted
    busy       the share of one processor that this process took
    """

    told: int
    missing: int
    doubled: int
    closed: int
    latencies: Sequence[int]
    returns: Sequence[int]
    busy: float


Command = Open | Close | Begin | Finish | Rejoin


class Play:
    """All viewers, by group."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._poll = select.epoll()
        self._poll.register(pipe.fileno(), select.EPOLLIN)
        self._groups: dict[str, list[ViewerSocket]] = {}
        self._by_fd: dict[int, ViewerSocket] = {}
        self._connecting: set[int] = set()
        self._pieces = Pieces()
        self._run = -1
        self._stride = 1
        self._counted: Sequence[ViewerSocket] = ()
        self._incomplete = 0
        self._latencies: list[int] = []
        self._returns: list[int] = []
        self._rejoined = 0
        self._closed = 0
        self._began = (0.0, 0.0)

    def serve(self) -> None:
        """Does what it is told until the parent is gone."""
        while True:
            if self._turn(None):
                try:
                    command: Command = self._pipe.recv()
                except EOFError:
                    return
                self._pipe.send(self._do(command))

    def _do(self, command: Command) -> Tally | None:
        match command:
            case Open():
                self._open(command)
            case Close():
                self._close(command.group)
            case Begin():
                self._begin(command)
            case Rejoin():
                self._rejoin(self._groups[command.group])
            case Finish():
                return self._finish(command)
        return None

    def _open(self, command: Open) -> None:
        viewers = self._groups[command.group] = []
        deadline = time.monotonic() + OPEN_SECONDS
        for first in range(0, len(command.requests), _AT_ONCE):
            batch = [
                ViewerSocket(first + at, session, command.address, request)
                for at, (session, request) in enumerate(command.requests[first : first + _AT_ONCE])
            ]
            viewers += batch
            self._watch(batch)
            self._wait_until_open(batch, deadline)

    def _rejoin(self, viewers: Iterable[ViewerSocket]) -> None:
        for viewer in viewers:
            self._forget(viewer)
        self._rejoined = marks.now()
        for viewer in viewers:
            viewer.is_back = False
            viewer.connect()
        self._watch(viewers)

    def _watch(self, viewers: Iterable[ViewerSocket]) -> None:
        for viewer in viewers:
            fd = viewer.socket.fileno()
            self._by_fd[fd] = viewer
            self._connecting.add(fd)
            self._poll.register(fd, select.EPOLLOUT)

    def _wait_until_open(self, viewers: Sequence[ViewerSocket], deadline: float) -> None:
        while not all(viewer.is_open for viewer in viewers):
            self._turn(0.1)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{sum(not viewer.is_open for viewer in viewers)} streams do not open")

    def _close(self, group: str) -> None:
        for viewer in self._groups.pop(group, ()):
            self._forget(viewer)

    def _forget(self, viewer: ViewerSocket) -> None:
        fd = viewer.socket.fileno()
        if self._by_fd.pop(fd, None):
            self._connecting.discard(fd)
            self._poll.unregister(fd)
            viewer.socket.close()

    def _begin(self, command: Begin) -> None:
        self._run = command.run
        self._stride = command.stride
        self._counted = self._groups[command.group]
        for viewer in self._counted:
            viewer.ledger = Ledger(command.expected[viewer.session])
        self._incomplete = sum(not viewer.ledger.is_complete for viewer in self._counted)
        self._latencies = []
        self._closed = 0
        self._returns = []
        self._began = (time.monotonic(), time.process_time())
        gc.collect()
        gc.freeze()

    def _finish(self, command: Finish) -> Tally:
        deadline = time.monotonic() + command.seconds
        while self._incomplete and (left := deadline - time.monotonic()) > 0:
            self._turn(min(left, 0.05))
        until = time.monotonic() + command.grace
        while (left := until - time.monotonic()) > 0:
            self._turn(left)  # For what is told again when everything has been told.
        wall, processor = time.monotonic() - self._began[0], time.process_time() - self._began[1]
        ledgers = [viewer.ledger for viewer in self._counted]
        tally = Tally(
            told=sum(min(ledger.told, ledger.expected) for ledger in ledgers),
            missing=sum(ledger.missing for ledger in ledgers),
            doubled=sum(ledger.doubled for ledger in ledgers),
            closed=self._closed,
            latencies=sorted(self._latencies),
            returns=sorted(self._returns),
            busy=processor / wall,
        )
        self._run = -1
        return tally

    def _turn(self, seconds: float | None) -> bool:
        """Reads what there is to read; says whether the parent has something to say."""
        called = False
        for fd, event in self._poll.poll(seconds):
            viewer = self._by_fd.get(fd)
            if viewer is None:
                called = called or fd == self._pipe.fileno()
            elif fd in self._connecting:
                viewer.ask()
                self._connecting.discard(fd)
                self._poll.modify(fd, select.EPOLLIN)
            elif event:
                self._read(viewer)
        return called

    def _read(self, viewer: ViewerSocket) -> None:
        try:
            data = viewer.read()
        except ConnectionError:
            data = None
        if data is None:
            self._forget(viewer)
            if viewer in self._counted:
                self._closed += 1
                self._incomplete -= not viewer.ledger.is_complete  # It will be told nothing more.
            return
        viewer.is_open = True
        if not data:
            return
        piece = self._pieces.look(data)
        if piece.last_id:
            viewer.last_id = piece.last_id
        for found in piece.marks:
            if found.run == self._run:
                self._note(viewer, found)

    def _note(self, viewer: ViewerSocket, found: marks.Marks) -> None:
        if found.final and viewer.is_back:
            return  # Who came back after the end has the text from here; to all others it may not make up for a loss.
        ledger = viewer.ledger
        was_complete = ledger.is_complete
        ledger.take(found)
        self._incomplete -= ledger.is_complete - was_complete
        now = marks.now()
        if not viewer.is_back:
            viewer.is_back = True
            self._returns.append(now - self._rejoined)
        elif not found.whole and viewer.number % self._stride == 0:
            self._latencies += [now - due for due in found.due]


def play(pipe: Connection) -> None:
    """The process's entry point."""
    gc.disable()  # Nothing here makes cycles, and a pause would be counted as a server's.
    Play(pipe).serve()
