"""The pace of a reply: no wait while the loop has time, longer ones while it has not."""

from stream_gateway.pace import Pace


def test_chunks_wait_for_one_another_for_twenty_milliseconds() -> None:
    pace = Pace()

    pace.observe(0.001)

    assert pace.interval == 0.02


def test_they_wait_longer_while_the_loop_is_late_and_never_longer_than_a_tenth_of_a_second() -> None:
    pace = Pace()

    pace.observe(0.015)
    assert 0.04 <= pace.interval <= 0.1

    pace.observe(5.0)
    assert pace.interval == 0.1


def test_the_wait_is_short_again_when_the_loop_has_caught_up() -> None:
    pace = Pace()
    pace.observe(0.05)

    for _ in range(50):
        pace.observe(0.0)

    assert pace.interval == 0.02
