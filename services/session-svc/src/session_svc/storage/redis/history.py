"""The messages of sessions, in Redis lists."""

from collections.abc import Sequence
from typing import Final

from session_svc.domain.errors import RequestIdReused
from session_svc.domain.excerpts import automatic_title, preview
from session_svc.domain.message import NewMessage, Receipt, Role
from session_svc.domain.names import is_creatable
from session_svc.domain.position import Position
from session_svc.domain.session import Appended, MessagePage, Session, Snapshot, Truncated
from session_svc.storage.base import Append, Expected, MessageHistory
from session_svc.storage.redis import codec
from session_svc.storage.redis.client import RedisClient
from session_svc.storage.redis.scripts import Script

ANYTHING: Final = "*"
RANGE: Final = "*"
"""Ends remembered ids that are `<base>`, `<base>-1`, `<base>-2` and so on: only the base is kept."""


class RedisMessageHistory(MessageHistory):
    """MessageHistory over one script a method."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def append(self, append: Append) -> Appended:
        messages = append.messages
        last = messages[-1]
        arguments: list[str | int] = [
            "1" if is_creatable(append.session) else "",
            "1" if append.require_existing else "",
            append.owner,
            expectation(append.expected),
            append.request_id,
            append.fingerprint,
            _remember([message.id for message in messages]) if append.request_id else "",
            automatic_title(messages),
            last.role,
            preview(last.content),
            awaiting(messages),
        ]
        for message in messages:
            arguments += codec.encode(message)
        try:
            reply = await self._client.run(Script.APPEND, append.session, *arguments)
        except RequestIdReused:
            raise RequestIdReused(append.request_id) from None
        _, outcome, epoch, first, now, remembered, row = reply
        ids = [message.id for message in messages] if outcome == "new" else _recall(remembered, len(messages))
        receipts = tuple(
            Receipt(ids[index], first + index, now if message.create_time is None else message.create_time)
            for index, message in enumerate(messages)
        )
        return Appended(receipts, Position(epoch, first + len(messages) - 1), codec.session(row))

    async def page(
        self, name: str, *, start: int, limit: int, newest_first: bool, epoch: str | None = None
    ) -> MessagePage:
        step = -1 if newest_first else 1
        reply = await self._client.run(Script.PAGE, name, epoch or "", start, limit, step)
        _, current, length, first, elements = reply
        messages = codec.decode_all(elements, current, first, step)
        last = first + step * (len(messages) - 1)
        more = bool(messages) and (last > 1 if newest_first else last < length)
        return MessagePage(messages, Position(current, length), more)

    async def snapshot(self, name: str, *, tail: int) -> Snapshot:
        _, row, elements, chunks = await self._client.run(Script.SNAPSHOT, name, tail)
        session = codec.session(row)
        head = session.position
        messages = codec.decode_all(elements, head.epoch, head.sequence, -1)[::-1]
        reply = codec.reply_snapshot(session.reply, chunks) if session.reply else None
        return Snapshot(session, messages, reply)

    async def clear(self, name: str, *, expected: Expected = None) -> Session:
        _, row = await self._client.run(Script.CLEAR, name, expectation(expected))
        return codec.session(row)

    async def truncate(
        self, name: str, *, keep: int | None = None, remove_last: int | None = None, expected: Expected = None
    ) -> Truncated:
        _, row, epoch, last, elements = await self._client.run(
            Script.TRUNCATE, name, expectation(expected), "" if keep is None else keep, remove_last or 0
        )
        return Truncated(codec.decode_all(elements, epoch, last, -1)[::-1], codec.session(row))


def expectation(expected: Expected) -> str:
    """How the scripts are told what a writer expects of the head."""
    return ANYTHING if expected is None else str(expected)


def awaiting(messages: Sequence[NewMessage]) -> str:
    """Whether the session awaits a reply after these messages, as the scripts take it."""
    for message in reversed(messages):
        if message.role is Role.USER:
            return "1"
        if message.role is Role.ASSISTANT:
            return "0"
    return ""


def _remember(ids: Sequence[str]) -> str:
    base = ids[0]
    if all(given == f"{base}-{index}" for index, given in enumerate(ids[1:], start=1)):
        return base + RANGE
    return ",".join(ids)


def _recall(remembered: str, count: int) -> list[str]:
    if remembered.endswith(RANGE):
        base = remembered.removesuffix(RANGE)
        return [base, *(f"{base}-{index}" for index in range(1, count))]
    return remembered.split(",")
