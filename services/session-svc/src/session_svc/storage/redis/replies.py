"""Replies while they are written, in a Redis hash and a list a session."""

from collections.abc import Sequence
from typing import Final

from session_svc.domain.errors import ReplyLost, ReplyStopped, SessionServiceError, TooLarge
from session_svc.domain.excerpts import automatic_title
from session_svc.domain.limits import REPLY_BYTES
from session_svc.domain.message import Message, NewMessage, Receipt
from session_svc.domain.names import is_creatable
from session_svc.domain.position import Position
from session_svc.domain.reply import Chunk, ReplyEnd, ReplyLease, ReplyStart
from session_svc.entropy import random_digits
from session_svc.storage.base import ReplyBuffer
from session_svc.storage.redis import codec
from session_svc.storage.redis.client import RedisClient
from session_svc.storage.redis.connection import Answer
from session_svc.storage.redis.history import awaiting, expectation
from session_svc.storage.redis.scripts import Script

FENCE_CHARACTERS: Final = 12


class RedisReplyBuffer(ReplyBuffer):
    """ReplyBuffer over one script a method."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def start(self, start: ReplyStart) -> ReplyLease | ReplyEnd:
        fence = random_digits(FENCE_CHARACTERS)
        arguments: list[str | int] = [
            "1" if is_creatable(start.session) else "",
            start.owner,
            expectation(start.expected),
            start.reply_id,
            start.writer_key,
            fence,
            start.author,
            start.model,
            start.lease,
            self._client.reachable_ms,
            automatic_title(start.messages),
            awaiting(start.messages),
        ]
        for message in start.messages:
            arguments += codec.encode(message)
        answer = await self._client.run(Script.REPLY_START, start.session, *arguments)
        if answer[1] == "ended":
            return _end(answer)
        _, _, epoch, length, *stored = answer
        return ReplyLease(start.session, start.reply_id, fence, Position(epoch, length), *stored)

    async def write(self, lease: ReplyLease, accepted: int, chunks: Sequence[Chunk]) -> int:
        arguments: list[str | int] = [lease.reply_id, lease.fence, accepted]
        for chunk in chunks:
            arguments += codec.encode_chunk(chunk)
        answer = await self._client.run(Script.REPLY_WRITE, lease.session, *arguments)
        if answer[1] == "ended":
            raise _refusal(answer) or ReplyLost
        return int(answer[2])

    async def finish(self, lease: ReplyLease, *, attributes: str, messages: Sequence[NewMessage]) -> ReplyEnd:
        encoded: list[str | int] = []
        for message in messages:
            encoded += codec.encode(message)
        return await self._finish(lease, "finished", "", attributes, *encoded)

    async def fail(self, lease: ReplyLease, *, reason: str, attributes: str) -> ReplyEnd:
        return await self._finish(lease, "failed", reason, attributes)

    async def stop(self, name: str, reply_id: str) -> Message | None:
        answer = await self._client.run(Script.REPLY_STOP, name, reply_id)
        _, _, _, epoch, length, _, element = answer
        return codec.decode(element, epoch, length) if element else None

    async def _finish(self, lease: ReplyLease, how: str, *arguments: str | int) -> ReplyEnd:
        answer = await self._client.run(Script.REPLY_END, lease.session, lease.reply_id, lease.fence, how, *arguments)
        return _end(answer)


def _end(answer: Sequence[Answer]) -> ReplyEnd:
    """The end in `answer`. Raises what a writer is told of a reply that was not its own to end."""
    refusal = _refusal(answer)
    if refusal:
        raise refusal
    _, _, _, epoch, last, receipts = answer
    return ReplyEnd(tuple(Receipt(*receipt) for receipt in receipts), Position(epoch, last))


def _refusal(answer: Sequence[Answer]) -> SessionServiceError | None:
    match answer[2]:
        case "stopped":
            return ReplyStopped()
        case "lost":
            return ReplyLost()
        case "large":
            return TooLarge("delta", REPLY_BYTES + 1, REPLY_BYTES)
        case _:
            return None
