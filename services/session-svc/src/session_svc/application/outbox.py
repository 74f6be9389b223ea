"""What a writer has said and the store has not heard yet."""

import asyncio
import contextlib
from typing import Final

from session_svc.domain.limits import KIB, REPLY_BYTES, REPLY_TEXT_BYTES
from session_svc.domain.reply import Chunk, Text
from session_svc.domain.weight import chunk_bytes

HELD_BYTES: Final = 256 * KIB
"""More than this waiting, and the writer waits too."""


class Outbox:
    """Joins texts that wait, so that a store slower than the writer is asked less often, never later.

    Bounded: `add` waits while more than 256 KiB are held.

    text_bytes, bytes  what the store holds of the reply already
    """

    def __init__(self, text_bytes: int = 0, bytes: int = 0) -> None:  # noqa: A002 - As in ReplyLease.
        self._chunks: list[Chunk] = []
        self._texts: list[str] = []
        self._bytes = 0
        self._text_total = text_bytes
        self._total = bytes
        self._closed = False
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._pressing = asyncio.Event()

    async def add(self, chunk: Chunk) -> None:
        """Takes one delta or part."""
        while self._bytes > HELD_BYTES:
            self._emptied.clear()
            await self._emptied.wait()
        size = chunk_bytes(chunk)
        self._bytes += size
        self._total += size
        self._text_total += size if isinstance(chunk, Text) else 0
        if self._total > REPLY_BYTES or self._text_total > REPLY_TEXT_BYTES:
            self._close_text()  # This one ends the reply, which keeps all that came before it.
        if isinstance(chunk, Text):
            self._texts.append(chunk.text)
        else:
            self._close_text()
            self._chunks.append(chunk)
        self._filled.set()
        if self._bytes > HELD_BYTES // 2:
            self._pressing.set()

    def renew(self) -> None:
        """Takes a renewal of the lease: any write is one."""
        self._filled.set()

    def close(self) -> None:
        """Nothing more will be added."""
        self._closed = True
        self._filled.set()
        self._pressing.set()

    async def rest(self, seconds: float) -> None:
        """Lets more come together for so long; not once nothing more will come, or much has."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._pressing.wait()

    async def wait(self) -> bool:
        """Waits for something to write; False when there is nothing and never will be."""
        await self._filled.wait()
        return bool(self._chunks or self._texts) or not self._closed

    def take(self) -> list[Chunk]:
        """Everything that waits, in order; nothing when only the lease is to be renewed."""
        self._close_text()
        chunks, self._chunks = self._chunks, []
        self._bytes = 0
        if not self._closed:
            self._filled.clear()
            self._pressing.clear()
        self._emptied.set()
        return chunks

    def _close_text(self) -> None:
        if self._texts:
            self._chunks.append(Text("".join(self._texts), len(self._texts)))
            self._texts.clear()
