"""Whether someone answers."""

import asyncio

SECONDS = 5.0
"""Who answers claims the session at once, long before the first word; after so long without it, nobody does."""


class AwaitedAnswer:
    """The answer to one's own last message."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()
        self._ended = asyncio.Event()
        self.withdraw()

    def expect(self) -> None:
        """A message was sent."""
        self._begun.clear()
        self._ended.clear()

    def seen(self, *, ended: bool) -> None:
        """Someone begins to answer, or has answered."""
        self._begun.set()
        if ended:
            self._ended.set()

    def withdraw(self) -> None:
        """No answer is expected any more."""
        self.seen(ended=True)

    async def begins(self) -> bool:
        """Whether an answer begins in time."""
        try:
            async with asyncio.timeout(SECONDS):
                await self._begun.wait()
        except TimeoutError:
            return False
        return True

    async def complete(self) -> bool:
        """Whether an answer came; waits until it is complete. The server ends every reply that was begun."""
        if not await self.begins():
            return False
        await self._ended.wait()
        return True
