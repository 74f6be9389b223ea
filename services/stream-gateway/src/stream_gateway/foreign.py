"""What chat.ai does to a session behind session-svc's back: it announces changes, partly before it makes them."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog
from ai_chat_client.errors import AiChatError

from stream_gateway.history import History
from stream_gateway.position import ABSENT, Position

PATIENCE_SECONDS: Final = 5.0
FIRST_DELAY_SECONDS: Final = 0.02
MAX_DELAY_SECONDS: Final = 0.5

log = structlog.get_logger(__name__)


class ForeignChanges:
    """Has session-svc look at a session until it has found, and announced, what chat.ai said that it changes.

    `head()`: where the session is known to be. `suspect()`: called when session-svc knows more than was announced.
    """

    def __init__(self, name: str, history: History, head: Callable[[], Position], suspect: Callable[[], None]) -> None:
        self._name = name
        self._history = history
        self._head = head
        self._suspect = suspect
        self._until = 0.0
        self._from = ABSENT
        self._expected = 0
        self._is_waiting = False

    def announce(self) -> bool:
        """Takes note of one more change. True: nobody looks yet, so run `look`."""
        self._until = time.monotonic() + PATIENCE_SECONDS
        if self._is_waiting:
            self._expected += 1
            return False
        self._is_waiting, self._from, self._expected = True, self._head(), 1
        return True

    async def look(self) -> None:
        """Asks until the head has moved once for each change, or nothing has for 5 s since the last was announced."""
        delay = FIRST_DELAY_SECONDS
        found = self._from
        try:
            while not self._is_told() and time.monotonic() < self._until:
                try:
                    found = await self._history.touch(self._name)
                except AiChatError as error:
                    log.debug("foreign_change_not_read", reason=error.reason)
                if found == ABSENT != self._head():
                    self._suspect()
                await asyncio.sleep(delay)
                delay = min(delay * 1.5, MAX_DELAY_SECONDS)
        finally:
            self._is_waiting = False
        if found != self._head() == self._from:
            self._suspect()

    def _is_told(self) -> bool:
        head = self._head()
        if head.epoch != self._from.epoch:
            return self._expected == 1
        return head.sequence - self._from.sequence >= self._expected
