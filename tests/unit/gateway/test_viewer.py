"""A viewer: gets everything in order, at its own pace, at nobody else's cost."""

import asyncio

from stream_gateway.ring import Budget, Frame, Ring
from support.asgi_socket import opened


def new_ring(max_frames: int = 100) -> Ring:
    return Ring(Budget(), max_frames=max_frames)


async def settle() -> None:
    """Lets every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_a_ring_gets_is_written_without_a_task_switch() -> None:
    viewer, socket = await opened()
    ring = new_ring()
    viewer.follow(ring, lambda: b"reset\n\n")

    ring.append(Frame(b"one\n\n"))
    viewer.pump()

    assert socket.frames == [b"retry: 1", b"one"]


async def test_what_was_in_the_ring_before_is_not_written() -> None:
    viewer, socket = await opened()
    ring = new_ring()
    ring.append(Frame(b"old\n\n"))
    viewer.follow(ring, lambda: b"reset\n\n")

    ring.append(Frame(b"new\n\n"))
    viewer.pump()

    assert socket.frames == [b"retry: 1", b"new"]


async def test_a_full_socket_gets_the_rest_when_it_drains_in_order() -> None:
    viewer, socket = await opened()
    ring = new_ring()
    viewer.follow(ring, lambda: b"reset\n\n")
    socket.fill()
    for number in range(5):
        ring.append(Frame(f"{number}\n\n".encode()))
        viewer.pump()

    socket.drain()
    await settle()

    assert socket.frames == [b"retry: 1", b"0", b"1", b"2", b"3", b"4"]


async def test_a_viewer_that_fell_off_the_ring_is_reset_and_goes_on() -> None:
    viewer, socket = await opened()
    ring = new_ring(max_frames=2)
    viewer.follow(ring, lambda: b"reset\n\n")
    socket.fill()
    for number in range(5):
        ring.append(Frame(f"{number}\n\n".encode()))
        viewer.pump()

    socket.drain()
    await settle()
    ring.append(Frame(b"5\n\n"))
    viewer.pump()

    assert socket.frames == [b"retry: 1", b"0", b"reset", b"5"]


async def test_what_a_viewer_is_told_itself_comes_before_its_ring() -> None:
    viewer, socket = await opened()
    ring = new_ring()
    viewer.follow(ring, lambda: b"reset\n\n")
    ring.append(Frame(b"later\n\n"))

    viewer.say(b"first\n\n")

    assert socket.frames == [b"retry: 1", b"first", b"later"]


async def test_a_finished_viewer_gets_all_it_is_owed_and_then_the_end() -> None:
    viewer, socket = await opened()
    socket.fill()
    viewer.say(b"one\n\n")
    viewer.say(b"two\n\n")
    viewer.finish(b"bye\n\n")

    socket.drain()
    await settle()

    assert socket.frames == [b"retry: 1", b"one", b"two", b"bye"]
    assert socket.ended


async def test_nothing_is_written_after_the_end() -> None:
    viewer, socket = await opened()
    viewer.finish(b"bye\n\n")

    viewer.say(b"more\n\n")
    viewer.heartbeat()

    assert socket.frames == [b"retry: 1", b"bye"]


async def test_a_stuck_viewer_says_for_how_long() -> None:
    viewer, socket = await opened()
    socket.fill()
    viewer.say(b"one\n\n")
    now = asyncio.get_running_loop().time()

    assert viewer.stuck_for(now + 11) > 10
    await viewer.close()


async def test_a_heartbeat_is_not_added_to_a_full_socket() -> None:
    viewer, socket = await opened()
    socket.fill()
    viewer.say(b"one\n\n")
    viewer.heartbeat()

    socket.drain()
    await settle()

    assert socket.frames == [b"retry: 1", b"one"]


async def test_a_viewer_that_takes_nothing_of_its_own_is_disconnected() -> None:
    viewer, socket = await opened()
    socket.fill()
    for _ in range(12):
        viewer.say(b"x" * 1024 * 1024)

    assert socket.aborted
    await viewer.close()


async def test_closing_ends_a_write_that_waits() -> None:
    viewer, socket = await opened()
    socket.fill()
    viewer.say(b"one\n\n")

    await viewer.close()
    socket.drain()
    await settle()

    assert socket.frames == [b"retry: 1"]
