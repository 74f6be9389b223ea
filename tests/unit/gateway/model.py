"""A session service and a pub/sub server in memory, as slow and as unreliable as a test's dice say.

The model keeps the promises of the real ones and no others: a call answers with the state of one moment between its
start and its end; a subscription delivers, in order, what is published after the server took it; a lost connection
loses what was on its way.
"""

import asyncio
import json
import random
from collections import deque
from dataclasses import dataclass, field

from ai_chat_client.errors import ConflictError, NotFoundError
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api
from grpc import StatusCode
from stream_gateway.events import compose
from stream_gateway.position import ABSENT, Position
from stream_gateway.sources.base import Listener, Source

NAME = "my-project"
PAGE = 3

Piece = str | tuple[str, int]
"""Text, or a part: its type, and a number that its data holds."""


async def wander(dice: random.Random) -> None:
    """Lets others run for a while."""
    for _ in range(dice.randrange(6)):
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Said:
    """A message. `id`: of a reply, the reply's."""

    id: str
    content: str
    is_reply: bool = False


@dataclass
class Reply:
    """A reply in progress: its chunks, numbered from 0."""

    id: str
    chunks: list[Piece] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(chunk for chunk in self.chunks if isinstance(chunk, str))


@dataclass
class Session:
    """The one session of the model."""

    epoch: str
    messages: list[Said] = field(default_factory=list)
    title: str = ""
    reply: Reply | None = None

    @property
    def head(self) -> Position:
        return Position(self.epoch, len(self.messages))


class Server(Source):
    """Holds the session, answers calls, publishes, and is the source of events."""

    def __init__(self, dice: random.Random) -> None:
        self.session: Session | None = None
        self._dice = dice
        self._epochs = 0
        self._said = 0
        self._wanted: set[str] = set()
        self._taken: set[str] = set()
        self._wire: deque[tuple[str, bytes | None]] = deque()
        self._connected = asyncio.Event()
        self._news = asyncio.Event()

    # What happens to the session

    @property
    def head(self) -> Position:
        return self.session.head if self.session else ABSENT

    def append(self, count: int) -> None:
        session = self.session = self.session or Session(self._next_epoch())
        for _ in range(count):
            number = self._next()
            session.messages.append(Said(f"m{number}", f"said {number}"))
            about = {"sequence": len(session.messages), "id": f"m{number}", "content": f"said {number}"}
            self._publish("user", json.dumps(about))

    def begin(self) -> None:
        """A reply begins, unless one is being written."""
        if self.session and not self.session.reply:
            self.session.reply = Reply(f"r{self._next()}")
            self._publish("start", json.dumps({"replyId": self.session.reply.id, "author": "a", "model": "m"}))

    def write(self, count: int) -> None:
        """So many more chunks of the reply, most of them text."""
        reply = self.session.reply if self.session else None
        for _ in range(count if reply else 0):
            assert reply
            number = self._next()
            place = {"replyId": reply.id, "from": len(reply.chunks), "to": len(reply.chunks) + 1}
            if self._dice.random() < 0.25:
                reply.chunks.append(("tool", number))
                self._publish("part", json.dumps({"type": "tool", "data": {"n": number}, **place}))
            else:
                reply.chunks.append(f"word{number} ")
                self._publish("chunk", json.dumps({"content": f"word{number} ", **place}))

    def finish(self) -> None:
        """The reply becomes a message; nothing does, if nothing was said."""
        session = self.session
        if session is None or session.reply is None:
            return
        reply, session.reply = session.reply, None
        if not reply.chunks:
            self._publish("complete", json.dumps({"replyId": reply.id}))
            return
        session.messages.append(Said(reply.id, reply.text, is_reply=True))
        about = {"replyId": reply.id, "sequence": len(session.messages), "id": reply.id, "content": reply.text}
        self._publish("complete", json.dumps(about))

    def clear(self) -> None:
        if self.session:
            self._abandon()
            self.session = Session(self._next_epoch(), title=self.session.title)
            self._publish("clear", "{}")

    def truncate(self, remove: int) -> None:
        if self.session and self.session.messages:
            self._abandon()
            keep = max(0, len(self.session.messages) - remove)
            self.session = Session(self._next_epoch(), self.session.messages[:keep], self.session.title)
            self._publish("truncate", f'{{"keep":{keep}}}')

    def delete(self) -> None:
        if self.session:
            self._abandon()
            self._publish("deleted", "{}")
            self.session = None

    def rename(self) -> None:
        if self.session:
            self.session.title = f"title {self._next()}"
            self._publish("updated", f'{{"name":"{NAME}","title":"{self.session.title}","titleSource":"user"}}')

    def _abandon(self) -> None:
        if self.session and self.session.reply:
            self._publish("complete", json.dumps({"replyId": self.session.reply.id}))
            self.session.reply = None

    def _next(self) -> int:
        self._said += 1
        return self._said

    def _next_epoch(self) -> str:
        self._epochs += 1
        return f"m3abcd{self._epochs:04d}"

    # The calls

    async def get_snapshot(self, session: str, *, tail: int = 0) -> api.GetSnapshotResponse:
        del tail
        await wander(self._dice)
        answer = api.GetSnapshotResponse(session=self._describe(session), position=str(self.head))
        reply = self.session.reply if self.session else None
        if reply:
            chunks = [_chunk(piece) for piece in reply.chunks]
            answer.reply.CopyFrom(
                api.ReplySnapshot(id=reply.id, author="a", model="m", chunks=chunks, next_chunk=len(chunks))
            )
        await wander(self._dice)
        return answer

    async def get_session(self, name: str) -> model.Session:
        await wander(self._dice)
        answer = self._describe(name)
        await wander(self._dice)
        return answer

    async def list_messages(
        self, session: str, *, page_size: int = 0, after_position: str = ""
    ) -> api.ListMessagesResponse:
        del session, page_size
        await wander(self._dice)
        after = Position.parse(after_position)
        if self.session is None:
            raise NotFoundError("gone", reason="SESSION_NOT_FOUND", code=StatusCode.NOT_FOUND)
        if after is None or after.epoch != self.session.epoch:
            raise ConflictError("another log", reason="POSITION_CONFLICT", code=StatusCode.ABORTED)
        first = after.sequence
        answer = api.ListMessagesResponse(
            messages=[
                model.Message(
                    id=said.id,
                    sequence=number,
                    role=model.ROLE_ASSISTANT if said.is_reply else model.ROLE_USER,
                    content=said.content,
                )
                for number, said in enumerate(self.session.messages[first : first + PAGE], first + 1)
            ],
            next_page_token="more" if first + PAGE < len(self.session.messages) else "",
            position=str(self.head),
        )
        await wander(self._dice)
        return answer

    def _describe(self, name: str) -> model.Session:
        if self.session is None:
            raise NotFoundError("gone", reason="SESSION_NOT_FOUND", code=StatusCode.NOT_FOUND)
        return model.Session(
            name=name, title=self.session.title, title_source=model.TITLE_SOURCE_USER, position=str(self.head)
        )

    # The source

    def follow(self, name: str) -> None:
        self._wanted.add(name)
        self._taken.discard(name)
        self._news.set()

    def unfollow(self, name: str) -> None:
        self._wanted.discard(name)
        self._news.set()

    def cut(self) -> None:
        """The connection is lost, with all that is on its way."""
        self._taken.clear()
        self._wire.clear()
        self._connected.clear()

    def mend(self) -> None:
        """The connection is there again."""
        self._connected.set()
        self._news.set()

    def lose(self) -> None:
        """The chunks that are on their way are lost, and nothing says so."""
        self._wire = deque(item for item in self._wire if item[1] is None or b'"from"' not in item[1])

    async def run(self, listener: Listener) -> None:
        self._connected.set()
        listener.source_up()
        while True:
            await self._connected.wait()
            if not self._wire and self._wanted == self._taken:
                self._news.clear()
                await self._news.wait()
            await wander(self._dice)
            if not self._connected.is_set():
                continue
            for name in self._wanted - self._taken:
                self._taken.add(name)
                self._wire.append((name, None))
            self._taken &= self._wanted
            await wander(self._dice)
            for _ in range(min(len(self._wire), self._dice.randrange(1, 4))):
                name, data = self._wire.popleft()
                if data is None:
                    listener.subscribed(name)
                else:
                    listener.event(name, data)

    def _publish(self, kind: str, payload: str) -> None:
        if NAME in self._taken:
            self._wire.append((NAME, compose(kind, payload, 1, self.head)))
            self._news.set()


def _chunk(piece: Piece) -> model.Chunk:
    if isinstance(piece, str):
        return model.Chunk(text=piece)
    return model.Chunk(part=model.Part(type=piece[0], data=json.dumps({"n": piece[1]})))
