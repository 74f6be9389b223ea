"""A program that begins a reply, says something and then nothing more, until it is killed. Its lease is a second."""

import asyncio
import sys
from datetime import timedelta

from ai_chat_client import AsyncClient


async def write(server: str, session: str, text: str) -> None:
    """Writes `text` and waits for the end."""
    async with (
        AsyncClient(server) as client,
        client.reply(session, author="assistant", lease=timedelta(seconds=1)) as reply,
    ):
        await reply.write(text)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(write(*sys.argv[1:]))
