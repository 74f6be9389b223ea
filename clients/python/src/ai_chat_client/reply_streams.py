"""When a reply whose stream broke is taken up again, and when that is given up."""

import time
from collections.abc import Callable
from typing import Final

import grpc

from ai_chat_client.errors import CLOSED, AiChatError, ReplyLost
from ai_chat_client.retry import RetryPolicy

GIVE_UP_AFTER_SECONDS: Final = 60.0
"""For so long a reply that has begun is taken up again: by then its lease is over even where the store was away."""

_STEADY_SECONDS: Final = 5.0

_TAKEN_UP_AGAIN: Final = frozenset({
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.CANCELLED,
})  # fmt: skip

_GONE: Final = frozenset({"SESSION_NOT_FOUND", "POSITION_CONFLICT", "REPLY_IN_PROGRESS"})
"""Why a reply that has begun cannot be taken up again: its session was deleted, and perhaps created anew."""


class ReplyStreams:
    """The streams of one reply. `begun`: whether one of them has had the slot."""

    def __init__(self, policy: RetryPolicy, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._failures = 0
        self._opened = self._broken_since = clock()
        self.begun = False

    def opening(self) -> None:
        """One is being opened."""
        self._opened = self._clock()

    def taken_up(self, *, progress: bool) -> None:
        """It has the slot. `progress`: whether more is stored than when the last one began."""
        self.begun = True
        if progress:
            self._failures = 0

    def delay_after(self, error: AiChatError) -> float:
        """Seconds to wait before the next stream; raises `error` when there is to be none."""
        now = self._clock()
        if self.begun and error.reason in _GONE:
            lost = "the session of the reply was deleted"
            raise ReplyLost(lost, reason="REPLY_LOST", code=grpc.StatusCode.ABORTED) from error
        if error.code not in _TAKEN_UP_AGAIN or error.reason == CLOSED:
            raise error
        if now - self._opened > _STEADY_SECONDS or not self._failures:
            self._failures, self._broken_since = 0, now
        self._failures += 1
        delay = self._policy.backoff.delay(self._failures, error.retry_after)
        patience = GIVE_UP_AFTER_SECONDS if self.begun else self._policy.timeout
        if now + delay - self._broken_since > patience:
            raise error
        return delay
