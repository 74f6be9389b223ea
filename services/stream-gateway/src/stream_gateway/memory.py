"""What the process may have in memory, and who may have which share of it."""

from typing import Final

from aichat_runtime.memory import MemoryGuard

from stream_gateway.budget import PROCESS_BYTES, Budget
from stream_gateway.owed import Owed

REQUESTS_BYTES: Final = 64 * 1024 * 1024
_SHARE: Final = 4
"""What sessions may have, and what viewers: a fourth each, and a sixteenth for requests. The rest is the program's."""


class Memory:
    """The guard over the whole, and what is counted by those who fill it. `limit`: bytes; 0: only what is counted is.

    Each counts for itself: whoever reads slowly, or sends much, takes nothing from what is kept of the sessions.
    """

    def __init__(self, limit: int) -> None:
        share = min(PROCESS_BYTES, limit // _SHARE or PROCESS_BYTES)
        self.guard = MemoryGuard(limit)
        self.sessions = Budget(share)
        self.viewers = Owed(share, self.guard)
        self.requests = Budget(min(REQUESTS_BYTES, share // _SHARE))
