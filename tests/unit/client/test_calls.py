"""Which calls are made again by themselves, and which never."""

from datetime import timedelta

import grpc
import pytest
from ai_chat_client import Backoff, Message, RetryPolicy, calls
from ai_chat_client.errors import AiChatError, LimitedError, UnavailableError
from ai_chat_client.retry import Attempts, Repeat

ONE = [Message(content="hello")]

CASES = [
    (calls.get_session("s"), Repeat.ALWAYS),
    (calls.list_sessions(), Repeat.ALWAYS),
    (calls.list_messages("s"), Repeat.ALWAYS),
    (calls.get_snapshot("s"), Repeat.ALWAYS),
    (calls.append_messages("s", ONE), Repeat.ALWAYS),
    (calls.append_messages("s", ONE, request_id="mine", expected_position="e.1"), Repeat.ALWAYS),
    (calls.create_session("s", allow_existing=True), Repeat.ALWAYS),
    (calls.create_session(allow_existing=True), Repeat.IF_REFUSED),
    (calls.create_session("s"), Repeat.IF_REFUSED),
    (calls.delete_session("s", allow_missing=True, expected_position="e.1"), Repeat.ALWAYS),
    (calls.delete_session("s", allow_missing=True), Repeat.IF_REFUSED),
    (calls.delete_session("s", allow_missing=True, expected_position=""), Repeat.IF_REFUSED),
    (calls.delete_session("s", expected_position="e.1"), Repeat.IF_REFUSED),
    (calls.stop_reply("s", reply_id="r"), Repeat.ALWAYS),
    (calls.stop_reply("s"), Repeat.NEVER),
    (calls.clear_session("s", expected_position="e.1"), Repeat.NEVER),
    (calls.truncate_session("s", keep=1, expected_position="e.1"), Repeat.NEVER),
    (calls.update_session("s", title="t"), Repeat.NEVER),
]


@pytest.mark.parametrize(("call", "repeat"), CASES)
def test_only_calls_that_may_happen_twice_are_repeated(call: calls.Call[object], repeat: Repeat) -> None:
    assert call.repeat is repeat


def failure(reason: str, code: grpc.StatusCode, retry_after: float | None = None) -> AiChatError:
    kind = LimitedError if code is grpc.StatusCode.RESOURCE_EXHAUSTED else UnavailableError
    return kind("no", reason=reason, code=code, retry_after=retry_after)


STORE = failure("STORE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE, 1.0)
DRAINING = failure("DRAINING", grpc.StatusCode.UNAVAILABLE, 1.0)
UNREACHABLE = failure("UNREACHABLE", grpc.StatusCode.UNAVAILABLE)
LIMITED = failure("RATE_LIMITED", grpc.StatusCode.RESOURCE_EXHAUSTED, 1.0)
TIMEOUT = failure("TIMEOUT", grpc.StatusCode.DEADLINE_EXCEEDED)
MISSING = failure("SESSION_NOT_FOUND", grpc.StatusCode.NOT_FOUND)


@pytest.mark.parametrize(
    ("repeat", "repeated"),
    [
        (Repeat.ALWAYS, [STORE, DRAINING, UNREACHABLE, LIMITED]),
        (Repeat.IF_REFUSED, [DRAINING, LIMITED]),
        (Repeat.NEVER, []),
    ],
)
def test_a_call_is_repeated_after_the_failures_that_allow_it(repeat: Repeat, repeated: list[AiChatError]) -> None:
    for error in (STORE, DRAINING, UNREACHABLE, LIMITED, TIMEOUT, MISSING):
        delay = Attempts(RetryPolicy(), repeat).delay_after(error)
        assert (delay is not None) == (error in repeated), error.reason


def test_delays_are_jittered_up_to_a_doubling_ceiling() -> None:
    longest = Backoff(initial=0.1, maximum=1.0, rng=lambda: 1.0)
    assert [longest.delay(n) for n in (1, 2, 3, 4, 5, 50)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert Backoff(rng=lambda: 0.0).delay(7) == 0.0


def test_a_call_waits_at_least_as_long_as_the_server_asks() -> None:
    assert Backoff(rng=lambda: 0.0).delay(1, retry_after=2.5) == 2.5


def test_a_call_is_made_so_often_and_no_longer_than_its_deadline() -> None:
    now = 100.0
    policy = RetryPolicy(timeout=10.0, attempts=3, backoff=Backoff(rng=lambda: 0.0))
    attempts = Attempts(policy, Repeat.ALWAYS, clock=lambda: now)
    assert attempts.seconds_left == 10.0
    assert [attempts.delay_after(UNREACHABLE) for _ in range(3)] == [0.0, 0.0, None]
    late = Attempts(policy, Repeat.ALWAYS, clock=lambda: now)
    now = 109.5
    assert late.seconds_left == pytest.approx(0.5)
    assert late.delay_after(STORE) is None, "there is no time left for another attempt"


def test_an_append_without_request_id_gets_one_of_its_own() -> None:
    first, second = (calls.append_messages("s", ONE).request.request_id for _ in range(2))  # type: ignore[attr-defined]
    assert 0 < len(first) <= 64
    assert first != second


def test_an_update_changes_what_is_given_and_nothing_else() -> None:
    request = calls.update_session("s", title="", ttl=timedelta(0)).request
    assert list(request.update_mask.paths) == ["title", "ttl"]  # type: ignore[attr-defined]
    to_default = calls.update_session("s", update_mask=["ttl"]).request
    assert list(to_default.update_mask.paths) == ["ttl"]  # type: ignore[attr-defined]
    assert not to_default.HasField("ttl")


def test_an_expected_position_that_is_empty_is_not_the_same_as_none() -> None:
    assert calls.clear_session("s", expected_position="").request.HasField("expected_position")
    assert not calls.clear_session("s").request.HasField("expected_position")


@pytest.mark.parametrize("extent", [{}, {"keep": 1, "remove_last": 1}])
def test_truncating_needs_exactly_one_extent(extent: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="keep or remove_last"):
        calls.truncate_session("s", **extent)  # type: ignore[arg-type]  # Integers for the two that take them.
