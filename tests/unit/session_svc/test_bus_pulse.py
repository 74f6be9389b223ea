"""When the other end of a connection counts as gone."""

from session_svc.bus.pulse import Pulse


def test_a_ping_is_due_at_once_and_then_every_so_often() -> None:
    pulse = Pulse(every=5, within=2, now=100)
    assert pulse.ping_is_due(100)
    pulse.answered()
    assert not pulse.ping_is_due(104)
    assert pulse.next_look() == 105
    assert pulse.ping_is_due(105)


def test_no_second_ping_is_sent_before_the_first_is_answered() -> None:
    pulse = Pulse(every=1, within=60, now=0)
    assert pulse.ping_is_due(0)
    assert not pulse.ping_is_due(30)
    pulse.answered()
    assert pulse.ping_is_due(30)


def test_an_unanswered_ping_means_gone() -> None:
    pulse = Pulse(every=5, within=2, now=0)
    pulse.ping_is_due(0)
    assert pulse.next_look() == 2
    assert not pulse.is_gone(1.9)
    assert pulse.is_gone(2)


def test_an_answer_means_alive_however_long_ago() -> None:
    pulse = Pulse(every=5, within=2, now=0)
    pulse.ping_is_due(0)
    pulse.answered()
    assert not pulse.is_gone(1000)


def test_a_backlog_that_still_arrives_extends_the_deadline() -> None:
    pulse = Pulse(every=5, within=2, now=0)
    pulse.ping_is_due(0)
    pulse.heard(1.5)
    assert not pulse.is_gone(3)
    assert pulse.next_look() == 3.5
    assert pulse.is_gone(3.5)
