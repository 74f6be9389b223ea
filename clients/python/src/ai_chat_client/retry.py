"""When to call again, and how long to wait before it."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

import grpc

from ai_chat_client.errors import AiChatError

CONNECT_SECONDS = 3.0
"""So long a call that was never sent, because there is no connection, is made again, whatever it does."""
_CONNECT_PAUSE = 0.05

_REFUSED = frozenset({"DRAINING", "RATE_LIMITED", "TOO_MANY_STREAMS"})
_TRANSIENT = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})


class Repeat(Enum):
    """Whether a call may be made again by itself after a failure."""

    ALWAYS = "always"
    """Twice is as good as once: a read, or a write that the server recognises."""
    IF_REFUSED = "if refused"
    """Only when the server says that it did nothing."""
    NEVER = "never"
    """Not even then; only when it was never sent."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: the n-th delay is anywhere between 0 and `initial` * 2^n seconds, `maximum` at most."""

    initial: float = 0.1
    maximum: float = 5.0
    rng: Callable[[], float] = random.random

    def delay(self, failures: int, retry_after: float | None = None) -> float:
        """Seconds to wait after so many failures in a row (1 or more); never less than what the server asked for."""
        ceiling = min(self.maximum, self.initial * 2.0 ** min(failures - 1, 30))
        return (retry_after or 0.0) + ceiling * self.rng()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`timeout`: seconds for one call, repetitions included. `attempts`: how often it is made at most."""

    timeout: float = 15.0
    attempts: int = 5
    backoff: Backoff = field(default_factory=Backoff)


class Attempts:
    """The attempts of one call: how much time is left, and what to do after a failure."""

    def __init__(self, policy: RetryPolicy, repeat: Repeat, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._repeat = repeat
        self._clock = clock
        self._deadline = clock() + policy.timeout
        self._connect_by = clock() + min(policy.timeout, CONNECT_SECONDS)
        self._failures = 0

    @property
    def seconds_left(self) -> float:
        """The deadline of the next attempt, in seconds from now."""
        return max(self._deadline - self._clock(), 0.001)

    def delay_after(self, error: AiChatError) -> float | None:
        """Seconds to wait before the next attempt; None: there is none, raise `error`."""
        self._failures += 1
        delay = self._policy.backoff.delay(self._failures, error.retry_after)
        then = self._clock() + delay
        if error.never_sent and self._policy.attempts > 1 and then + _CONNECT_PAUSE < self._connect_by:
            return delay + _CONNECT_PAUSE
        if self._failures >= self._policy.attempts or not self._may_repeat(error):
            return None
        return delay if then < self._deadline else None

    def _may_repeat(self, error: AiChatError) -> bool:
        match self._repeat:
            case Repeat.ALWAYS:
                return error.code in _TRANSIENT
            case Repeat.IF_REFUSED:
                return error.reason in _REFUSED
            case Repeat.NEVER:
                return False
