"""Positions: what is one, and which log is the later."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_gateway.position import ABSENT, Position, is_newer

EPOCHS = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=5, max_size=24)


@given(EPOCHS, st.integers(0, 10**15))
def test_a_position_is_read_as_it_is_written(epoch: str, sequence: int) -> None:
    position = Position(epoch, sequence)

    assert Position.parse(str(position)) == position


def test_the_position_of_no_session_is_one_too() -> None:
    assert Position.parse(str(ABSENT)) == ABSENT
    assert ABSENT.is_absent


@pytest.mark.parametrize(
    "text",
    ["", "x", "m3abcd", "m3abcd.", ".5", "m3abcd.-1", "m3abcd.01", "M3ABCD.1", "m3abcd.1\n", "m3abcd.\u0661", "a.1"],
)
def test_garbage_is_no_position(text: str) -> None:
    assert Position.parse(text) is None


def test_the_later_epoch_is_the_newer_also_when_it_is_longer() -> None:
    assert is_newer("m3abce0000", "m3abcd9999")
    assert is_newer("10000000000000", "zzzzzzzzzzzz")
    assert not is_newer("m3abcd0000", "m3abcd0000")
