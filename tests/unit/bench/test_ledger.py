"""What a viewer is told: counted exactly, whatever is left out or repeated."""

from hypothesis import given
from hypothesis import strategies as st

from bench.fanout import marks
from bench.fanout.ledger import Ledger


def told(*sequences: int, whole: bool = False) -> marks.Marks:
    """Marks of run 1 as they are found in a stream."""
    kind = "snapshot" if whole else "chunk"
    text = "".join(marks.mark(1, sequence, 0) for sequence in sequences)
    (found,) = marks.find(f'data: {{"type":"{kind}","payload":{{"content":"{text}"}}}}\n\n'.encode())
    return found


@given(st.lists(st.lists(st.integers(0, 19), min_size=1), max_size=8))
def test_every_event_left_out_is_missing_and_every_repetition_is_doubled(pieces: list[list[int]]) -> None:
    ledger = Ledger(20)
    for piece in pieces:
        ledger.take(told(*piece))
    everything = [sequence for piece in pieces for sequence in piece]
    assert ledger.missing == 20 - len(set(everything))
    assert ledger.doubled == len(everything) - len(set(everything))
    assert ledger.told == len(set(everything))
    assert ledger.is_complete == (not ledger.missing)


def test_what_ends_too_early_is_missing() -> None:
    ledger = Ledger(5)
    ledger.take(told(0, 1, 2))
    assert (ledger.missing, ledger.doubled, ledger.is_complete) == (2, 0, False)


def test_a_snapshot_stands_in_place_of_what_was_told_before() -> None:
    ledger = Ledger(6)
    ledger.take(told(0, 1))
    ledger.take(told(0, 1, 2, 3, whole=True))
    ledger.take(told(4, 5))
    assert (ledger.missing, ledger.doubled) == (0, 0)


def test_a_chunk_that_the_snapshot_held_already_is_doubled() -> None:
    ledger = Ledger(4)
    ledger.take(told(0, 1, 2, whole=True))
    ledger.take(told(2, 3))
    assert (ledger.missing, ledger.doubled) == (0, 1)


def test_a_snapshot_with_a_hole_leaves_it_missing() -> None:
    ledger = Ledger(4)
    ledger.take(told(0, 1))
    ledger.take(told(0, 3, whole=True))
    assert ledger.missing == 2
