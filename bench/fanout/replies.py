"""Replies as a writer writes them: by StreamReply, through session-svc, with marks for words."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from ai_chat_client import ROLE_USER, AsyncClient, Message
from ai_chat_client.reply import ReplyWriter

from bench.fanout import marks

AUTHOR = "bench"


@asynccontextmanager
async def reply(client: AsyncClient, session: str) -> AsyncIterator[ReplyWriter]:
    """Takes the reply slot of a session with a question, as an assistant does."""
    question = Message(role=ROLE_USER, content="Tell me a long story.", author=AUTHOR)
    async with client.reply(session, author=AUTHOR, model="bench", messages=[question]) as writer:
        yield writer


async def write_all(address: str, sessions: Sequence[str], run: int, *, rate: float, tokens: int) -> None:
    """Writes a reply of `tokens` in each session at a time, `rate` tokens a second in each, and finishes them."""
    async with AsyncClient(address, author=AUTHOR) as client, asyncio.TaskGroup() as writers:
        for session in sessions:
            writers.create_task(_write(client, session, run, rate, tokens))


async def _write(client: AsyncClient, session: str, run: int, rate: float, tokens: int) -> None:
    async with reply(client, session) as writer:
        begin = marks.now()
        for sequence in range(tokens):
            due = begin + int(sequence * marks.MICROSECONDS / rate)
            await asyncio.sleep(max(0, due - marks.now()) / marks.MICROSECONDS)
            await writer.write(marks.mark(run, sequence, due))
