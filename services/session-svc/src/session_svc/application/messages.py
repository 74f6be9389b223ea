"""Messages: append, list, snapshot, clear, truncate."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from session_svc.application.ids import with_ids
from session_svc.application.places import NOWHERE
from session_svc.application.sizes import batches, newest, snapshot_bytes
from session_svc.application.tokens import Request
from session_svc.domain.errors import InvalidPageToken, PositionConflict
from session_svc.domain.message import Message, NewMessage
from session_svc.domain.position import Position
from session_svc.domain.session import Appended, Session, Snapshot, Truncated
from session_svc.storage.base import Append, Expected, MessageHistory


@dataclass(frozen=True, slots=True)
class MessageListing:
    """A page of messages in the order asked for, and the head when it was read."""

    messages: tuple[Message, ...]
    next_page_token: str
    head: Position


class Messages:
    """The use cases of messages."""

    def __init__(self, history: MessageHistory) -> None:
        self._history = history

    async def append(
        self,
        session: str,
        messages: Sequence[NewMessage],
        *,
        request_id: str,
        expected: Expected,
        require_existing: bool,
        author: str,
    ) -> Appended:
        """Appends `messages` in order, once for a request id; `author` owns the session if this creates it.

        Raises what MessageHistory.append raises.
        """
        return await self._history.append(
            Append(
                session=session,
                messages=with_ids(messages),
                request_id=request_id,
                fingerprint=_fingerprint(messages) if request_id else "",
                expected=expected,
                require_existing=require_existing,
                owner=author or messages[0].author,
            )
        )

    async def list(
        self, session: str, *, page_size: int, page_token: str, after_position: str, newest_first: bool
    ) -> MessageListing:
        """Reads one page of the messages after `after_position`, of all if it is empty.

        Raises SessionNotFound, InvalidPageToken; PositionConflict when the log is another one by now.
        """
        request = Request("ListMessages", (session, after_position, newest_first))
        after = (Position.parse(after_position) or NOWHERE) if after_position else None
        first = after.sequence + 1 if after else 1
        place = _place(request.open(page_token)) if page_token else None
        start = place.sequence if place else 0 if newest_first else first
        epoch = place.epoch if place else after.epoch if after else None
        page = await self._history.page(session, start=start, limit=page_size, newest_first=newest_first, epoch=epoch)
        if page.head.sequence < first - 1:
            raise PositionConflict(page.head)
        wanted = page.messages
        if newest_first:
            wanted = tuple(message for message in wanted if message.sequence >= first)
        fitting = next(batches(wanted), ())
        if not fitting:
            return MessageListing((), "", page.head)
        following = fitting[-1].sequence + (-1 if newest_first else 1)
        more = len(fitting) < len(wanted) or (page.more and following >= first)
        token = request.seal(str(Position(page.head.epoch, following))) if more else ""
        return MessageListing(fitting, token, page.head)

    async def snapshot(self, session: str, *, tail: int) -> Snapshot:
        """Reads the session, its newest messages and the reply in progress, of one moment. Raises SessionNotFound."""
        snapshot = await self._history.snapshot(session, tail=tail)
        room = snapshot_bytes(snapshot.reply) if snapshot.reply else 0
        return Snapshot(snapshot.session, newest(snapshot.messages, room), snapshot.reply)

    async def clear(self, session: str, *, expected: Expected) -> Session:
        """Removes every message. Raises SessionNotFound, PositionConflict."""
        return await self._history.clear(session, expected=expected)

    async def truncate(
        self, session: str, *, keep: int | None, remove_last: int | None, expected: Expected
    ) -> Truncated:
        """Removes the last messages. Raises SessionNotFound, PositionConflict."""
        truncated = await self._history.truncate(session, keep=keep, remove_last=remove_last, expected=expected)
        return Truncated(newest(truncated.removed), truncated.session)


def _fingerprint(messages: Sequence[NewMessage]) -> str:
    """Identifies the messages as they were sent."""
    body = [
        (
            message.id,
            message.role,
            message.content,
            message.author,
            message.model,
            message.create_time,
            message.status,
            message.status_reason,
            message.attributes,
        )
        for message in messages
    ]
    return hashlib.sha256(json.dumps(body).encode()).hexdigest()


def _place(text: str) -> Position:
    place = Position.parse(text)
    if place is None or place.sequence == 0:
        raise InvalidPageToken
    return place
