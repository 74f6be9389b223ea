"""Rates and open streams by key."""

import pytest
from aichat_runtime.limits import OpenLimit, RateLimit, address_key, peer_key
from hypothesis import given
from hypothesis import strategies as st


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    clock = Clock()
    rate = RateLimit(10, burst_seconds=2, clock=clock)
    assert [rate.take("a") for _ in range(20)] == [0.0] * 20
    wait = rate.take("a")
    assert wait == pytest.approx(0.1)
    clock.now += wait + 1e-6
    assert rate.take("a") == 0.0
    assert rate.take("a") > 0


def test_who_was_quiet_for_long_may_send_a_burst_and_no_more() -> None:
    clock = Clock()
    rate = RateLimit(10, burst_seconds=2, clock=clock)
    assert rate.take("a") == 0.0
    clock.now += 3600
    assert [rate.take("a") for _ in range(20)] == [0.0] * 20
    assert rate.take("a") > 0


def test_one_key_does_not_use_up_anothers() -> None:
    rate = RateLimit(1, burst_seconds=1, clock=Clock())
    assert rate.take("a") == 0.0
    assert rate.take("a") > 0
    assert rate.take("b") == 0.0


def test_without_a_rate_nothing_is_refused_or_remembered() -> None:
    rate = RateLimit(0)
    assert all(rate.take("a", 1e9) == 0.0 for _ in range(100))
    assert len(rate) == 0


def test_more_than_a_whole_bucket_waits_for_a_full_one_and_is_paid_for_afterwards() -> None:
    clock = Clock()
    rate = RateLimit(10, burst_seconds=1, clock=clock)
    assert rate.take("a", 50) == 0.0
    assert rate.take("a") == pytest.approx(4.1)
    clock.now += 4.2
    assert rate.take("a") == 0.0


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 40)), max_size=60))
def test_never_more_than_a_burst_and_the_rate_for_the_time_that_passed(steps: list[tuple[float, float]]) -> None:
    clock = Clock()
    rate, taken, largest = RateLimit(10, burst_seconds=2, clock=clock), 0.0, 0.0
    for pause, amount in steps:
        clock.now += pause
        wait = rate.take("a", amount)
        if not wait:
            taken, largest = taken + amount, max(largest, amount)
        assert taken <= max(20.0, largest) + 10 * (clock.now - 1000) + 1e-6
        if wait:
            clock.now += wait + 1e-6
            assert rate.take("a", amount) == 0.0, "what it says is long enough"
            taken, largest = taken + amount, max(largest, amount)


def test_memory_is_bounded_however_many_keys_come() -> None:
    rate = RateLimit(1, keys=100, clock=Clock())
    for number in range(10_000):
        rate.take(f"key-{number}")
        assert len(rate) <= 100


def test_the_one_that_asked_longest_ago_is_forgotten_first() -> None:
    clock = Clock()
    rate = RateLimit(1, burst_seconds=1, keys=2, clock=clock)
    for key in ("a", "b"):
        assert rate.take(key) == 0.0
    clock.now += 1
    assert rate.take("a") == 0.0
    assert rate.take("c") == 0.0
    assert rate.take("a") > 0


def test_open_things_are_counted_by_key_and_forgotten_when_closed() -> None:
    streams = OpenLimit(2)
    assert streams.open("a")
    assert streams.open("a")
    assert not streams.open("a")
    assert streams.open("b")
    streams.close("a")
    assert streams.open("a")
    for key in ("a", "a", "b"):
        streams.close(key)
    assert len(streams) == 0


@pytest.mark.parametrize(
    ("peer", "key"),
    [
        ("ipv4:10.1.2.3:4444", "10.1.2.3"),
        ("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:4444", "2001:db8:1:2::/64"),
        ("ipv6:[2001:db8:1:2::9]:4444", "2001:db8:1:2::/64"),
        ("ipv6:%5B::ffff:10.1.2.3%5D:1", "10.1.2.3"),
        ("ipv6:%5Bfe80::1%25eth0%5D:4444", "fe80::/64"),
        ("unix:", "unix"),
        ("", ""),
    ],
)
def test_a_peer_is_counted_by_its_address_or_network(peer: str, key: str) -> None:
    assert peer_key(peer) == key


def test_what_is_no_address_is_its_own_key() -> None:
    assert address_key("somewhere") == "somewhere"
