"""The viewers: real sockets of a process of their own, against a server that makes mistakes on purpose."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bench.fanout import marks
from bench.fanout.crowd import Crowd, crowd

REQUEST = b"GET /api/stream?session=s HTTP/1.1\r\nHost: here\r\n"
OPENING = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 2000\n\n"
POSITION = "0mf1kzq3v0a1b2.0"


class Server:
    """Accepts viewers and tells each what it is told to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(60)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.streams: list[socket.socket] = []

    def accept(self, viewers: int) -> None:
        """Opens the streams of so many viewers."""
        self.streams = [self._listener.accept()[0] for _ in range(viewers)]
        self.requests = []
        for stream in self.streams:
            stream.settimeout(60)
            self.requests.append(_headers(stream))
            stream.sendall(OPENING)

    def close(self) -> None:
        for each in (self._listener, *self.streams):
            each.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with ExitStack() as closing:
        found = Server()
        closing.callback(found.close)
        yield found


@pytest.fixture(scope="module")
def viewers() -> Iterator[Crowd]:
    with crowd() as found:
        yield found


def event(sequence: int) -> bytes:
    return b"id: %d\ndata: " % sequence + marks.chunk(1, sequence, marks.now(), POSITION) + b"\n\n"


def opened(viewers: Crowd, server: Server, count: int) -> None:
    """Opens `count` streams of one session, while the server accepts them."""
    viewers.send_open("all", server.address, [(0, REQUEST)] * count)
    server.accept(count)
    viewers.answer()


def test_events_left_out_and_repeated_are_counted_over_all_viewers(viewers: Crowd, server: Server) -> None:
    opened(viewers, server, 3)
    viewers.begin("all", 1, [3])
    told: list[list[int]] = [[0, 1, 2], [0, 2], [0, 1, 1, 2, 2]]
    for stream, sequences in zip(server.streams, told, strict=True):
        stream.sendall(b"".join(map(event, sequences)))
        stream.close()
    tally = viewers.finish(60.0)
    assert (tally.told, tally.missing, tally.doubled, tally.closed) == (8, 1, 2, 3)
    assert len(tally.latencies) == 10
    viewers.close("all")


def test_an_event_counts_once_it_is_whole_wherever_the_stream_is_cut(viewers: Crowd, server: Server) -> None:
    opened(viewers, server, 1)
    viewers.begin("all", 1, [4])
    for byte in b"".join(map(event, range(3))) + event(3)[:-1]:
        server.streams[0].sendall(bytes([byte]))
    server.streams[0].close()
    tally = viewers.finish(60.0)
    assert (tally.told, tally.missing, tally.doubled) == (3, 1, 0)
    viewers.close("all")


def test_a_viewer_that_rejoins_says_where_it_was_and_counts_on(viewers: Crowd, server: Server) -> None:
    opened(viewers, server, 1)
    viewers.begin("all", 1, [2])
    server.streams[0].sendall(event(0) + event(1))
    assert viewers.finish(60.0).told == 2
    viewers.begin("all", 1, [3])
    viewers.rejoin("all")
    server.streams[0].close()
    server.accept(1)
    assert b"\r\nLast-Event-ID: 1\r\n" in server.requests[0]
    server.streams[0].sendall(event(0) + event(1) + event(2))
    tally = viewers.finish(60.0)
    assert (tally.told, tally.missing, tally.doubled, len(tally.returns)) == (3, 0, 0, 1)
    viewers.close("all")


def finished(sequences: int) -> bytes:
    text = "".join(marks.mark(1, sequence, 0) for sequence in range(sequences))
    return f'data: {{"type":"complete","payload":{{"content":"{text}"}}}}\n\n'.encode()


def test_the_finished_message_does_not_make_up_for_what_a_viewer_missed(viewers: Crowd, server: Server) -> None:
    opened(viewers, server, 1)
    viewers.begin("all", 1, [3])
    server.streams[0].sendall(event(0) + event(2) + finished(3))
    server.streams[0].close()
    tally = viewers.finish(60.0)
    assert (tally.missing, tally.doubled) == (1, 0)
    viewers.close("all")


def test_a_viewer_who_is_back_after_the_end_has_the_text_from_the_finished_message(
    viewers: Crowd, server: Server
) -> None:
    opened(viewers, server, 1)
    viewers.begin("all", 1, [3])
    viewers.rejoin("all")
    server.streams[0].close()
    server.accept(1)
    server.streams[0].sendall(finished(3))
    tally = viewers.finish(60.0)
    assert (tally.missing, tally.doubled) == (0, 0)
    viewers.close("all")


def test_a_stream_that_the_server_ends_is_told(viewers: Crowd, server: Server) -> None:
    opened(viewers, server, 1)
    viewers.begin("all", 1, [1])
    server.streams[0].close()
    tally = viewers.finish(60.0)
    assert (tally.closed, tally.missing) == (1, 1)
    viewers.close("all")


def _headers(stream: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        received += stream.recv(4096)
    return received
