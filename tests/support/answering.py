"""Somebody who answers, word by word, from a thread, for tests that are not async."""

import asyncio
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ai_chat_client import AiChatError, AsyncClient
from support.until import PATIENCE_SECONDS

if TYPE_CHECKING:
    from ai_chat_client.reply import ReplyWriter


class Answering:
    """Context manager: holds the reply slot of `session`; leaving finishes the reply, unless it ended otherwise.

    `error`: what ended it, when that was neither `finish` nor `fail`.
    """

    def __init__(self, server: str, session: str, *, model: str = "") -> None:
        self.error: AiChatError | None = None
        self._server = server
        self._session = session
        self._model = model
        self._holds_the_slot = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._reply: ReplyWriter | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name=f"answering {session}")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._holds_the_slot.wait(PATIENCE_SECONDS), "the reply did not begin"
        if self.error is not None:
            raise self.error
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._loop is not None and self._over is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
        self.wait()

    def write(self, text: str) -> None:
        """Says something more."""
        assert self._loop is not None
        assert self._reply is not None
        asyncio.run_coroutine_threadsafe(self._reply.write(text), self._loop).result(PATIENCE_SECONDS)

    def part(self, kind: str, data: Mapping[str, object]) -> None:
        """Adds what is not answer text."""
        assert self._loop is not None
        assert self._reply is not None
        asyncio.run_coroutine_threadsafe(self._reply.part(kind, data), self._loop).result(PATIENCE_SECONDS)

    def fail(self, reason: str) -> None:
        """Ends the reply as FAILED."""
        assert self._loop is not None
        assert self._reply is not None
        asyncio.run_coroutine_threadsafe(self._reply.fail(reason), self._loop).result(PATIENCE_SECONDS)

    def wait(self) -> None:
        """Returns once the reply has ended."""
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "the reply did not end"

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        try:
            async with (
                AsyncClient(self._server) as client,
                client.reply(self._session, author="assistant", model=self._model) as self._reply,
            ):
                self._holds_the_slot.set()
                await self._over.wait()
        except AiChatError as error:
            self.error = error
            self._holds_the_slot.set()
