"""What the streams read from session-svc: where a session is, and what was said after a position."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from ai_chat_client import message_to_json, session_to_json
from ai_chat_client.errors import ConflictError, InvalidRequestError, NotFoundError
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api

from stream_gateway import metrics, sse
from stream_gateway.events import compose, fingerprint, now_ms
from stream_gateway.flights import Flights
from stream_gateway.frames import Frame
from stream_gateway.owed import Owed
from stream_gateway.position import ABSENT, Position
from stream_gateway.reply import Beginning, Part, Piece, Told, quote

PAGE_SIZE: Final = 200
PARALLEL: Final = 32
PARALLEL_PAGES: Final = 4
"""Of those who join: a page may be megabytes, and several times that while it is taken apart."""

_TITLE_SOURCES: Final = {model.TITLE_SOURCE_USER: "user"}

T = TypeVar("T")


class LogChangedError(Exception):
    """The session has another log than the one that was asked for, or none."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A session at one moment: its head, the frame that tells its description, the reply in progress.

    No session: ABSENT and nothing else.
    """

    head: Position
    fingerprint: str = fingerprint()
    updated: Frame | None = None
    reply: Told | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the session's log, as it was read."""

    id: str
    position: Position
    frame: Frame
    json: str
    timestamp: int

    def as_end(self) -> Frame:
        """The frame that tells it as the end of the reply of its id."""
        payload = end_of_reply(self.id, self.json)
        data = compose("complete", payload, self.timestamp, self.position)
        return Frame(sse.encode(data, str(self.position)), self.position, advances=True)


class Reader(Protocol):
    """The calls of `ai_chat_client.AsyncClient` that are used here."""

    def get_snapshot(self, session: str, *, tail: int = 0) -> Awaitable[api.GetSnapshotResponse]: ...
    def get_session(self, name: str) -> Awaitable[model.Session]: ...
    def list_messages(
        self, session: str, *, page_size: int = 0, after_position: str = ""
    ) -> Awaitable[api.ListMessagesResponse]: ...


class History:
    """Reads from session-svc, never more than a few calls at once; equal pages wanted at one time are read once.

    `owed`: what viewers have still to take; until there is room, those who join wait for their pages, in order.
    Every method raises AiChatError.
    """

    def __init__(self, client: Reader, owed: Owed | None = None) -> None:
        self._client = client
        self._owed = owed or Owed()
        self._slots = asyncio.Semaphore(PARALLEL)
        self._pages = asyncio.Semaphore(PARALLEL_PAGES)
        self._flights: Flights[tuple[Message, ...]] = Flights()

    async def snapshot(self, name: str) -> Snapshot:
        """The session as it is now."""
        try:
            response = await self._call("GetSnapshot", lambda: self._client.get_snapshot(name, tail=0))
        except (NotFoundError, InvalidRequestError):
            return Snapshot(ABSENT)
        head = Position.parse(response.position)
        if head is None:
            return Snapshot(ABSENT)
        session = response.session
        data = compose("updated", session_to_json(session), session.last_active_time.ToMilliseconds(), head)
        return Snapshot(
            head,
            fingerprint(session.title, _TITLE_SOURCES.get(session.title_source), dict(session.labels)),
            Frame(sse.encode(data, str(head)), head),
            told(response.reply) if response.HasField("reply") else None,
        )

    async def touch(self, name: str) -> Position:
        """Makes session-svc look at the session, so that it announces what others did to it. Returns its head."""
        try:
            session = await self._call("GetSession", lambda: self._client.get_session(name))
        except (NotFoundError, InvalidRequestError):
            return ABSENT
        return Position.parse(session.position) or ABSENT

    async def after(self, name: str, position: Position) -> tuple[Message, ...]:
        """The messages after a position of the session's log. Raises LogChangedError when it has another one by now."""
        return await self._flights.once((name, position), lambda: self._read_after(name, position, PAGE_SIZE))

    async def page_after(self, name: str, position: Position, size: int = PAGE_SIZE) -> tuple[Message, ...]:
        """As `after`, at most `size` messages for a viewer that joins: when it is its turn, and there is room."""

        async def read() -> tuple[Message, ...]:
            async with self._pages:
                await self._owed.room()
                return await self._read_after(name, position, size)

        return await self._flights.once((name, position, size), read)

    async def _read_after(self, name: str, position: Position, size: int) -> tuple[Message, ...]:
        try:
            response = await self._call(
                "ListMessages",
                lambda: self._client.list_messages(name, page_size=size, after_position=str(position)),
            )
        except (NotFoundError, ConflictError) as error:
            raise LogChangedError from error
        return tuple(_message(message, position.at(message.sequence)) for message in response.messages)

    async def _call(self, rpc: str, call: Callable[[], Awaitable[T]]) -> T:
        async with self._slots:
            metrics.FETCHES.labels(rpc).inc()
            return await call()


def told(reply: api.ReplySnapshot) -> Told:
    """A reply in progress, as session-svc tells it."""
    pieces = tuple(piece_of(chunk) for chunk in reply.chunks)
    return Told(Beginning(reply.id, reply.author, reply.model), pieces, reply.next_chunk)


def piece_of(chunk: model.Chunk) -> Piece:
    """A chunk of a reply. The text of a part's data is put in as it is; what is one line there stays one here."""
    if chunk.WhichOneof("content") == "part":
        return Part(f'{{"type":{quote(chunk.part.type)},"data":{one_line(chunk.part.data)}}}')
    return chunk.text


def one_line(json_text: str) -> str:
    """JSON without the line breaks that may stand between its tokens, and nowhere else."""
    return json_text.replace("\r", " ").replace("\n", " ")


def end_of_reply(reply_id: str, message_json: str) -> str:
    """The payload of `complete`: the message that a reply has become."""
    return f'{{"replyId":{quote(reply_id)},{message_json[1:]}'


def _message(message: model.Message, position: Position) -> Message:
    type_ = "user" if message.role == model.ROLE_USER else "message"
    json = message_to_json(message)
    timestamp = message.create_time.ToMilliseconds() or now_ms()
    frame = Frame(sse.encode(compose(type_, json, timestamp, position), str(position)), position, advances=True)
    return Message(message.id, position, frame, json, timestamp)
