"""The ring: bounded, encoded once, and honest about what it no longer holds."""

from stream_gateway import wire
from stream_gateway.budget import Budget
from stream_gateway.frames import Frame
from stream_gateway.position import Position
from stream_gateway.ring import FRAME_OVERHEAD_BYTES, Batch, Ring

EPOCH = "m3abcd0000"


def at(sequence: int) -> Position:
    return Position(EPOCH, sequence)


def message(sequence: int, size: int = 1) -> Frame:
    return Frame(f"<{sequence}>".encode().ljust(size, b"."), at(sequence), advances=True)


def ring_of(*frames: Frame, budget: Budget | None = None, max_frames: int = 100, max_bytes: int = 10_000) -> Ring:
    ring = Ring(budget or Budget(), lambda: b"reset", max_frames=max_frames, max_bytes=max_bytes)
    ring.rebase(at(0))
    for frame in frames:
        ring.append(frame)
    return ring


def test_whoever_is_behind_gets_all_since_its_cursor_in_one_piece() -> None:
    ring = ring_of(message(1), message(2), message(3))

    assert ring.read(1) == Batch(wire.chunk(b"<2><3>"), 3)


def test_viewers_at_the_same_place_get_the_very_same_bytes() -> None:
    ring = ring_of(message(1), message(2))

    assert ring.read(0)[0] is ring.read(0)[0]


def test_a_long_backlog_is_read_in_pieces_of_a_comfortable_size() -> None:
    ring = ring_of(message(1, 40_000), message(2, 40_000), max_bytes=1_000_000)

    assert ring.read(0) == Batch(wire.chunk(message(1, 40_000).data), 1)


def test_a_frame_too_large_for_one_write_is_read_alone_and_uncopied() -> None:
    large = message(2, 200_000)
    ring = ring_of(message(1), large, message(3), max_bytes=1_000_000)

    assert ring.read(0) == Batch(wire.chunk(b"<1>"), 1)
    data, end, is_chunk = ring.read(1)

    assert data is large.data
    assert (end, is_chunk) == (2, False)


def test_the_oldest_frames_go_when_there_are_too_many() -> None:
    ring = ring_of(*map(message, range(1, 6)), max_frames=3)

    assert ring.start == 2
    assert ring.read(2) == Batch(wire.chunk(b"<3><4><5>"), 5)


def test_the_oldest_frames_go_when_they_are_too_large() -> None:
    ring = ring_of(message(1, 600), message(2, 600), max_bytes=1000 + FRAME_OVERHEAD_BYTES)

    assert ring.start == 1


def test_a_frame_above_the_bound_is_held_alone() -> None:
    ring = ring_of(message(1), message(2, 5000), max_bytes=1000)

    assert ring.read(1)[1] == 2


def test_all_rings_together_keep_the_bound_of_the_process() -> None:
    budget = Budget(1000 + 3 * FRAME_OVERHEAD_BYTES)
    rings = [ring_of(message(1, 300), budget=budget) for _ in range(3)]

    rings[0].append(message(2, 300))

    assert budget.used <= budget.limit
    assert rings[0].start == 1


def test_a_cleared_ring_gives_its_bytes_back() -> None:
    budget = Budget()
    ring = ring_of(message(1, 300), budget=budget)

    ring.clear()

    assert budget.used == 0


def test_a_resumed_viewer_gets_what_came_after_its_position() -> None:
    ring = ring_of(message(1), message(2), message(3))

    assert ring.replay(at(1)) == (b"<2>", b"<3>")
    assert ring.replay(at(3)) == ()


def test_what_is_not_worth_repeating_is_not_replayed() -> None:
    ring = ring_of(message(1), Frame(b"<draft>"), message(2))

    assert ring.replay(at(1)) == (b"<2>",)


def test_a_rename_is_replayed_to_whoever_may_not_have_seen_it() -> None:
    ring = ring_of(message(1), Frame(b"<renamed>", at(1)))

    assert ring.replay(at(1)) == (b"<renamed>",)


def test_a_position_before_the_ring_is_not_replayed_from_it() -> None:
    ring = ring_of(*map(message, range(1, 6)), max_frames=2)

    assert ring.replay(at(2)) is None
    assert ring.replay(at(3)) == (b"<4>", b"<5>")


def test_a_position_of_another_log_is_not_replayed() -> None:
    ring = ring_of(message(1), message(2))
    ring.append(Frame(b"<cleared>", Position("m3abce0000", 0), advances=True))
    ring.rebase(Position("m3abce0000", 0))

    assert ring.replay(at(1)) is None
    assert ring.replay(Position("m3abce0000", 0)) == ()


def test_a_log_that_fell_back_is_not_mixed_with_what_it_was() -> None:
    ring = ring_of(message(1), message(2), message(3))

    ring.rebase(at(1))
    ring.append(Frame(b"<other 2>", at(2), advances=True))

    assert ring.replay(at(1)) == (b"<other 2>",)
