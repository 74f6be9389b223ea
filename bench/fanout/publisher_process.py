"""The process that publishes: at a steady rate, whatever becomes of it, to Redis or to nchan's publisher endpoint."""

import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Final, Literal

from bench.fanout import marks

_READ_BYTES: Final = 256 * 1024
_LEAD_MICROSECONDS: Final = 2000


@dataclass(frozen=True, slots=True)
class Target:
    """Where to publish: `host:port` of a Redis, or of an nginx with nchan."""

    kind: Literal["redis", "nchan"]
    address: str


@dataclass(frozen=True, slots=True)
class Topic:
    """A session, and its head: what is published about it bears that position."""

    name: str
    position: str


@dataclass(frozen=True, slots=True)
class Begin:
    """Announces the reply of a run in each session."""

    target: Target
    topics: Sequence[Topic]
    run: int


@dataclass(frozen=True, slots=True)
class Publish:
    """`events` tokens in all, `rate` a second, one session after the other.

    An event's due time is by the rate alone: when the server does not take them as fast, they are late.
    """

    target: Target
    topics: Sequence[Topic]
    run: int
    rate: float
    events: int


@dataclass(frozen=True, slots=True)
class End:
    """Ends the reply of a run in each session."""

    target: Target
    topics: Sequence[Topic]
    run: int


Command = Begin | Publish | End


class Outlet:
    """One connection, on which publications follow one another without waiting for the answers."""

    def __init__(self, target: Target) -> None:
        host, _, port = target.address.rpartition(":")
        self._kind = target.kind
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    def wrap(self, topic: Topic, event: bytes) -> bytes:
        """The bytes that publish an event."""
        if self._kind == "nchan":
            return b"POST /pub/%b HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%b" % (
                topic.name.encode(),
                len(event),
                event,
            )
        channel = (marks.CHANNEL_PREFIX + topic.name).encode()
        return b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(channel), channel, len(event), event)

    def send(self, data: bytes) -> None:
        """Sends all of it, throwing answers away meanwhile: a server that cannot answer stops listening."""
        left = memoryview(data)
        while left:
            readable, writable, _ = select.select([self.socket], [self.socket], [])
            if readable:
                self.drop_answers()
            if writable:
                left = left[self.socket.send(left) :]

    def drop_answers(self) -> None:
        """Throws away what has been answered. Raises ConnectionError when the server has gone."""
        try:
            if not self.socket.recv(_READ_BYTES):
                raise ConnectionResetError("the server has closed the connection that publishes")
        except BlockingIOError:
            return


class Press:
    """All outlets, by target."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._outlets: dict[Target, Outlet] = {}

    def serve(self) -> None:
        """Does what it is told until the parent is gone."""
        while True:
            sockets = {outlet.socket: target for target, outlet in self._outlets.items()}
            for ready in wait([self._pipe, *sockets]):
                if ready is self._pipe:
                    try:
                        self._do(self._pipe.recv())
                    except EOFError:
                        return
                elif isinstance(ready, socket.socket):
                    self._tidy(sockets[ready])

    def _tidy(self, target: Target) -> None:
        try:
            self._outlets[target].drop_answers()
        except ConnectionError:
            del self._outlets[target]  # Its server was stopped.

    def _do(self, command: Command) -> None:
        outlet = self._outlets.get(command.target)
        if outlet is None:
            outlet = self._outlets[command.target] = Outlet(command.target)
        match command:
            case Begin(topics=topics, run=run):
                outlet.send(b"".join(outlet.wrap(each, marks.start(run, each.position)) for each in topics))
            case End(topics=topics, run=run):
                outlet.send(b"".join(outlet.wrap(each, marks.complete(run, each.position)) for each in topics))
            case Publish():
                _publish(outlet, command)
        self._pipe.send(None)


def _publish(outlet: Outlet, command: Publish) -> None:
    topics, gap = command.topics, marks.MICROSECONDS / command.rate
    begin = marks.now() + _LEAD_MICROSECONDS
    sent = 0

    def event(number: int) -> bytes:
        topic = topics[number % len(topics)]
        due = begin + int(number * gap)
        return outlet.wrap(topic, marks.chunk(command.run, number // len(topics), due, topic.position))

    while sent < command.events:
        due = min(command.events, int((marks.now() - begin) / gap) + 1)
        if due > sent:
            outlet.send(b"".join(map(event, range(sent, due))))
            sent = due
        time.sleep(max(0.0, (begin + sent * gap - marks.now()) / marks.MICROSECONDS))


def press(pipe: Connection) -> None:
    """The process's entry point."""
    Press(pipe).serve()
