"""When a watch that lost its stream opens another one, and when it gives up."""

import time
from collections.abc import Callable

import grpc

from ai_chat_client.errors import CLOSED, AiChatError
from ai_chat_client.retry import RetryPolicy

SILENCE_SECONDS = 40.0
"""A stream on which nothing, not even a heartbeat (every 15 s), has come for so long is dead."""

LossHandler = Callable[[AiChatError], None]
"""Told why a watch lost its stream, each time before it opens another."""

_STEADY_SECONDS = 5.0

_PERMANENT = frozenset({
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
})  # fmt: skip


class Reconnects:
    """The reconnections of one watch.

    Before the first event as many attempts as for any call, so that a wrong address is an error and not silence; after
    it, for ever, or until there has been no stream for `give_up_after` seconds. A failure that would come again is
    raised at once.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        give_up_after: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._give_up_after = give_up_after
        self._clock = clock
        self._failures = 0
        self._connected_once = False
        self._opened = clock()
        self._last_event = clock()

    def opening(self) -> None:
        """A stream is being opened."""
        self._opened = self._clock()

    def event(self) -> None:
        """Something arrived."""
        self._connected_once = True
        self._last_event = self._clock()

    def delay_after(self, error: AiChatError) -> float:
        """Seconds to wait before the next stream; raises `error` when there is to be none."""
        now = self._clock()
        if self._last_event >= self._opened + _STEADY_SECONDS:
            self._failures = 0
        self._failures += 1
        delay = self._policy.backoff.delay(self._failures, error.retry_after)
        if error.code in _PERMANENT or error.reason == CLOSED or self._exhausted(now + delay):
            raise error
        return delay

    def _exhausted(self, then: float) -> bool:
        if self._give_up_after is not None:
            return then - self._last_event > self._give_up_after
        return not self._connected_once and self._failures >= self._policy.attempts
