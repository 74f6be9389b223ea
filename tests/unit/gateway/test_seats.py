"""Who is there, and who is let go when too much waits for all of them."""

import time

import pytest
from aichat_runtime.memory import MemoryGuard
from stream_gateway.owed import Owed
from stream_gateway.seats import Seats
from stream_gateway.viewer import Viewer
from support.viewer_socket import Socket

KIB = 1024


class Room:
    """Viewers in their seats, and a clock that can be put forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, limit: int, *, short_of_memory: bool = False) -> None:
        guard = MemoryGuard(1 if short_of_memory else 0, resident=lambda: 2, give_back=lambda: None)
        self.owed = Owed(limit, guard)
        self._seats = Seats(100, 10.0, self.owed)
        self._ahead = 0.0
        self._monotonic = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: self._monotonic() + self._ahead)

    def viewer(self, *, owed: int = 0, buffered: int = 0, reads: bool = False) -> Socket:
        """One that is there; unless it `reads`, its socket is full, and it is owed something besides."""
        viewer, socket = Viewer(), Socket()
        socket.viewer = viewer
        self._seats.take(viewer)
        viewer.open(socket, b"HTTP/1.1 200 OK\r\n\r\n", b"retry: 1\n\n")
        if not reads:
            socket.fill()
            viewer.say(b"b" * max(1, buffered))
        if owed:
            viewer.say(b"o" * owed)
        return socket

    def tick(self, seconds: float = 2.0) -> None:
        self._ahead += seconds
        self._seats.tick()


def test_while_it_is_not_too_much_nobody_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(monkeypatch, 1000 * KIB)
    slow = [room.viewer(owed=100 * KIB) for _ in range(9)]

    room.tick()

    assert not any(socket.aborted for socket in slow)


def test_when_it_is_too_much_those_for_whom_most_waits_are_let_go_until_it_is_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = Room(monkeypatch, 1000 * KIB)
    little = [room.viewer(owed=size * KIB) for size in (10, 20, 30)]
    much = [room.viewer(owed=400 * KIB) for _ in range(3)]

    room.tick()

    assert all(socket.aborted for socket in much)
    assert not any(socket.aborted for socket in little)
    assert room.owed.used == 60 * KIB


def test_what_waits_for_sockets_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(monkeypatch, 1000 * KIB)
    slow = [room.viewer(buffered=60 * KIB) for _ in range(20)]

    room.tick()

    assert 0 < sum(not socket.aborted for socket in slow) < 5


def test_whoever_takes_what_it_gets_is_never_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(monkeypatch, 100 * KIB)
    fast = room.viewer(reads=True, owed=500 * KIB)
    slow = room.viewer(owed=500 * KIB)

    room.tick(0.5)
    assert not slow.aborted  # It has been slow for a moment only.
    room.tick()

    assert slow.aborted
    assert not fast.aborted


def test_while_the_process_is_short_of_memory_more_of_the_slow_are_let_go_every_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = Room(monkeypatch, 1000 * KIB, short_of_memory=True)
    slow = [room.viewer(owed=KIB) for _ in range(8)]
    there = []

    for _ in range(4):
        room.tick(1.5)
        there.append(sum(not socket.aborted for socket in slow))

    assert there == sorted(set(there), reverse=True)
    assert there[0] >= 4


async def test_when_somebody_waits_for_room_the_slow_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(monkeypatch, 1000 * KIB)
    slow = room.viewer(owed=600 * KIB)
    waiting = room.owed.room()
    waiting.send(None)

    room.tick()

    assert slow.aborted
    with pytest.raises(StopIteration):
        waiting.send(None)
