"""What viewers have still to take: counted as it is, and waited for when it is too much."""

import asyncio

from stream_gateway.owed import Owed


async def settled() -> None:
    """Returns once whatever can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_many_wait_for_is_counted_once() -> None:
    owed = Owed()
    shared, own = b"x" * 1000, b"y" * 10

    for _ in range(100):
        owed.hold(shared)
    owed.hold(own)
    assert owed.used == 1010

    owed.release([shared] * 99)
    assert owed.used == 1010
    owed.release((shared, own))
    assert owed.used == 0


def test_the_same_bytes_can_be_owed_to_one_viewer_twice() -> None:
    owed = Owed()
    data = b"x" * 100
    owed.hold(data)
    owed.hold(data)

    owed.release((data,))
    assert owed.used == 100
    owed.release((data,))
    assert owed.used == 0


async def test_there_is_room_until_half_of_the_limit_is_used_and_again_when_it_is_free() -> None:
    owed = Owed(limit=100)
    half, more = b"x" * 50, b"y"
    owed.hold(half)
    await asyncio.wait_for(owed.room(), 10)
    owed.hold(more)
    waiting = asyncio.create_task(owed.room())
    await settled()

    assert not waiting.done()
    assert owed.is_awaited
    owed.release((more,))
    await asyncio.wait_for(waiting, 10)
    assert not owed.is_awaited


async def test_whoever_waited_in_vain_and_left_is_not_waited_for() -> None:
    owed = Owed(limit=100)
    owed.hold(b"x" * 60)
    waiting = asyncio.create_task(owed.room())
    await settled()
    assert owed.is_awaited

    waiting.cancel()
    await settled()

    assert not owed.is_awaited
