"""Somebody whose reply takes a while: numbered words, one chunk each, whatever breaks meanwhile."""

import asyncio
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from ai_chat_client import ROLE_USER, AsyncClient, Message
from ai_chat_client.errors import AiChatError

PAUSE_SECONDS: Final = 0.01
DEADLINE_SECONDS: Final = 90.0


class Talker:
    """Async context manager: asks in `session`, and answers until `finish`.

    Leaving the block without that lets go of the reply. `lost`: what ended it before its time.
    """

    def __init__(self, server: str, session: str, *, lease: float = 60.0) -> None:
        self.words: list[str] = []
        self.lost: AiChatError | None = None
        self._client = AsyncClient(server)
        self._session = session
        self._lease = timedelta(seconds=lease)
        self._ending = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._client.append_messages(self._session, [Message(role=ROLE_USER, content="question")])
        self._writing = asyncio.create_task(self._write())
        await self.said(3)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
        await self._client.close()

    @property
    def text(self) -> str:
        """All that was written."""
        return "".join(self.words)

    async def said(self, more: int) -> None:
        """Returns once so many words more have been written than now, or none will be any more."""
        goal = len(self.words) + more
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.words) < goal and self.lost is None:  # noqa: ASYNC110 - The writing is not to wait for it.
                await asyncio.sleep(PAUSE_SECONDS)

    async def finish(self) -> str:
        """Ends the reply; returns its text."""
        self._ending.set()
        if self._writing is not None:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._writing
        return self.text

    async def _write(self) -> None:
        try:
            async with self._client.reply(self._session, lease=self._lease) as reply:
                while not self._ending.is_set():
                    self.words.append(f"w{len(self.words)} ")
                    await reply.write(self.words[-1])
                    await asyncio.sleep(PAUSE_SECONDS)
                await reply.finish()
        except AiChatError as error:
            self.lost = error
