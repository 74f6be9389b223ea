"""Storage in the memory of one process: complete, and gone with it. For trials and for tests."""

from session_svc.bus.memory import InMemoryStreamBus
from session_svc.entropy import Clock, Digits, random_digits, system_clock
from session_svc.storage.memory.history import InMemoryMessageHistory
from session_svc.storage.memory.replies import InMemoryReplyBuffer
from session_svc.storage.memory.state import State
from session_svc.storage.memory.store import InMemorySessionStore

__all__ = ["InMemoryMessageHistory", "InMemoryReplyBuffer", "InMemorySessionStore", "InMemoryStorage"]


class InMemoryStorage:
    """Every port over one state.

    bus             where events are published
    default_ttl_ms  what a session lives without a ttl of its own; None: for ever
    clock, digits   where time and randomness come from
    """

    def __init__(
        self,
        bus: InMemoryStreamBus,
        default_ttl_ms: int | None = None,
        clock: Clock = system_clock,
        digits: Digits = random_digits,
    ) -> None:
        state = State(bus, default_ttl_ms, clock, digits)
        self.history = InMemoryMessageHistory(state)
        self.replies = InMemoryReplyBuffer(state)
        self.store = InMemorySessionStore(state, self.replies)
