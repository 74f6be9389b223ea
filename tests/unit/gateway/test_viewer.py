"""A viewer: gets everything in order, at its own pace, at nobody else's cost."""

import time

from stream_gateway import wire
from stream_gateway.budget import Budget
from stream_gateway.frames import Frame
from stream_gateway.owed import Owed
from stream_gateway.ring import Ring
from stream_gateway.viewer import HIGH_WATER_BYTES, PIECE_BYTES, Viewer
from support.viewer_socket import Socket, opened


def new_ring(max_frames: int = 100) -> Ring:
    return Ring(Budget(), lambda: b"reset\n\n", max_frames=max_frames)


def test_what_a_ring_gets_is_written_without_a_task_switch() -> None:
    viewer, socket = opened()
    ring = new_ring()
    viewer.follow(ring)

    ring.append(Frame(b"one\n\n"))
    viewer.pump()

    assert socket.frames == [b"retry: 1", b"one"]


def test_what_was_in_the_ring_before_is_not_written() -> None:
    viewer, socket = opened()
    ring = new_ring()
    ring.append(Frame(b"old\n\n"))
    viewer.follow(ring)

    ring.append(Frame(b"new\n\n"))
    viewer.pump()

    assert socket.frames == [b"retry: 1", b"new"]


def test_a_full_socket_gets_the_rest_when_it_drains_in_order() -> None:
    viewer, socket = opened()
    ring = new_ring()
    viewer.follow(ring)
    socket.fill()
    for number in range(5):
        ring.append(Frame(f"{number}\n\n".encode()))
        viewer.pump()

    socket.drain()

    assert socket.frames == [b"retry: 1", b"0", b"1", b"2", b"3", b"4"]


def test_a_viewer_that_fell_off_the_ring_is_reset_and_goes_on() -> None:
    viewer, socket = opened()
    ring = new_ring(max_frames=2)
    viewer.follow(ring)
    socket.fill()
    for number in range(5):
        ring.append(Frame(f"{number}\n\n".encode()))
        viewer.pump()

    socket.drain()
    ring.append(Frame(b"5\n\n"))
    viewer.pump()

    assert socket.frames == [b"retry: 1", b"0", b"reset", b"5"]


def test_what_a_viewer_is_told_itself_comes_before_its_ring() -> None:
    viewer, socket = opened()
    ring = new_ring()
    viewer.follow(ring)
    ring.append(Frame(b"later\n\n"))

    viewer.say(b"first\n\n")

    assert socket.frames == [b"retry: 1", b"first", b"later"]


def test_a_finished_viewer_gets_all_it_is_owed_and_then_the_end() -> None:
    viewer, socket = opened()
    socket.fill()
    viewer.say(b"one\n\n")
    viewer.say(b"two\n\n")
    viewer.finish(b"bye\n\n")

    socket.drain()

    assert socket.frames == [b"retry: 1", b"one", b"two", b"bye"]
    assert socket.ended


def test_nothing_is_written_after_the_end() -> None:
    viewer, socket = opened()
    viewer.finish(b"bye\n\n")

    viewer.say(b"more\n\n")
    viewer.heartbeat()

    assert socket.frames == [b"retry: 1", b"bye"]


def test_a_stuck_viewer_says_for_how_long() -> None:
    viewer, socket = opened()
    socket.fill()
    viewer.say(b"one\n\n")
    now = time.monotonic()

    assert viewer.stuck_for(now + 11) > 10


def test_a_heartbeat_is_not_added_to_a_full_socket() -> None:
    viewer, socket = opened()
    socket.fill()
    viewer.say(b"one\n\n")
    viewer.heartbeat()

    socket.drain()

    assert socket.frames == [b"retry: 1", b"one"]


def test_a_viewer_that_takes_nothing_of_its_own_is_disconnected() -> None:
    viewer, socket = opened()
    socket.fill()
    for _ in range(12):
        viewer.say(b"x" * 1024 * 1024)

    assert socket.aborted


def test_whoever_takes_a_little_now_and_then_is_not_stuck() -> None:
    viewer, socket = opened()
    socket.fill()
    viewer.say(b"one\n\n")
    now = time.monotonic()
    viewer.stuck_for(now + 9)

    socket.write(wire.chunk(b"as if part of it had been taken"))

    assert viewer.stuck_for(now + 18) == 0
    assert viewer.stuck_for(now + 29) == 11


def test_what_came_while_the_socket_was_full_is_one_write_when_it_is_no_more() -> None:
    viewer, socket = opened()
    ring = new_ring()
    viewer.follow(ring)
    socket.fill()
    viewer.say(b"one\n\n")
    for number in range(5):
        ring.append(Frame(f"{number}\n\n".encode()))
        viewer.pump()
    writes = socket.writes

    socket.drain()

    assert socket.frames == [b"retry: 1", b"one", b"0", b"1", b"2", b"3", b"4"]
    assert socket.writes == writes + 1


def test_whoever_falls_off_the_ring_again_before_it_took_the_summary_is_disconnected() -> None:
    viewer, socket = opened()
    ring = new_ring(max_frames=2)
    viewer.follow(ring)
    socket.fill()
    viewer.say(b"one\n\n")
    for number in range(5):
        ring.append(Frame(f"{number}\n\n".encode()))
    socket.drain()
    assert socket.frames[-1] == b"reset"
    socket.fill()
    viewer.say(b"two\n\n")
    for number in range(5):
        ring.append(Frame(f"{number}\n\n".encode()))

    socket.drain()

    assert socket.aborted


def test_it_tells_once_that_it_has_gone() -> None:
    gone: list[Viewer] = []
    viewer = Viewer()
    viewer.at_end(gone.append)
    socket = Socket()
    socket.abort()

    viewer.open(socket, b"", b"retry: 1\n\n")
    viewer.connection_lost(None)

    assert gone == [viewer]


def test_a_large_frame_is_handed_over_in_pieces_each_when_there_is_room_for_it() -> None:
    viewer, socket = opened()
    viewer.account = Owed()
    ring = Ring(Budget(), lambda: b"reset\n\n")
    viewer.follow(ring)
    frames = [letter * 500_000 + b"\n\n" for letter in (b"a", b"b", b"c")]
    socket.fill()
    for frame in frames:
        ring.append(Frame(frame))
        viewer.pump()

    most = 0
    while viewer.held:
        most = max(most, viewer.buffered)
        socket.drain(piece=True)

    assert most <= HIGH_WATER_BYTES + PIECE_BYTES
    assert socket.frames == [b"retry: 1", *(frame.strip() for frame in frames)]
    assert viewer.account.used == 0


def test_what_a_viewer_is_in_the_middle_of_is_counted_until_it_has_it_or_is_gone() -> None:
    owed = Owed()
    ring = Ring(Budget(), lambda: b"reset\n\n", max_frames=1)
    viewers = [opened() for _ in range(3)]
    for viewer, socket in viewers:
        viewer.account = owed
        viewer.follow(ring)
        socket.fill()
    large = b"x" * 300_000
    ring.append(Frame(large))
    for viewer, _ in viewers:
        viewer.pump()
    ring.append(Frame(b"the large one is dropped"))
    assert owed.used == len(large)

    viewers[0][1].drain()
    viewers[1][0].disconnect()
    assert owed.used == len(large)
    viewers[2][0].end()

    assert owed.used == 0
    assert viewers[0][1].frames == [b"retry: 1", large + b"the large one is dropped"]
