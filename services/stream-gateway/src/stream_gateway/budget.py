"""How much the sessions of one process may keep in memory together."""

from typing import Final

PROCESS_BYTES: Final = 256 * 1024 * 1024


class Budget:
    """Bytes in use, and how many there may be. While exceeded, rings let go of frames and replies of their text."""

    def __init__(self, limit: int = PROCESS_BYTES) -> None:
        self.limit = limit
        self.used = 0

    @property
    def exceeded(self) -> bool:
        """Whether something has to be let go of."""
        return self.used > self.limit
