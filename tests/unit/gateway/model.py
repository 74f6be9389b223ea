"""A session service and a pub/sub server in memory, as slow and as unreliable as a test's dice say.

The model keeps the promises of the real ones and no others: a call answers with the state of one moment between its
start and its end; a subscription delivers, in order, what is published after the server took it; a lost connection
loses what was on its way.
"""

import asyncio
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


async def wander(dice: random.Random) -> None:
    """Lets others run for a while."""
    for _ in range(dice.randrange(6)):
        await asyncio.sleep(0)


@dataclass
class Session:
    """The one session of the model."""

    epoch: str
    messages: list[str] = field(default_factory=list)
    title: str = ""

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
            self._said += 1
            session.messages.append(f"said {self._said}")
            self._publish("user", f'{{"sequence":{len(session.messages)},"content":"said {self._said}"}}')

    def clear(self) -> None:
        if self.session:
            self.session = Session(self._next_epoch(), title=self.session.title)
            self._publish("clear", "{}")

    def truncate(self, remove: int) -> None:
        if self.session and self.session.messages:
            keep = max(0, len(self.session.messages) - remove)
            self.session = Session(self._next_epoch(), self.session.messages[:keep], self.session.title)
            self._publish("truncate", f'{{"keep":{keep}}}')

    def delete(self) -> None:
        if self.session:
            self._publish("deleted", "{}")
            self.session = None

    def rename(self) -> None:
        if self.session:
            self._said += 1
            self.session.title = f"title {self._said}"
            self._publish("updated", f'{{"name":"{NAME}","title":"{self.session.title}","titleSource":"user"}}')

    def _next_epoch(self) -> str:
        self._epochs += 1
        return f"m3abcd{self._epochs:04d}"

    # The calls

    async def get_snapshot(self, session: str, *, tail: int = 0) -> api.GetSnapshotResponse:
        del tail
        found = await self.get_session(session)
        return api.GetSnapshotResponse(session=found, position=found.position)

    async def get_session(self, name: str) -> model.Session:
        await wander(self._dice)
        if self.session is None:
            raise NotFoundError("gone", reason="SESSION_NOT_FOUND", code=StatusCode.NOT_FOUND)
        answer = model.Session(
            name=name, title=self.session.title, title_source=model.TITLE_SOURCE_USER, position=str(self.head)
        )
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
                model.Message(id=str(number), sequence=number, role=model.ROLE_USER, content=content)
                for number, content in enumerate(self.session.messages[first : first + PAGE], first + 1)
            ],
            next_page_token="more" if first + PAGE < len(self.session.messages) else "",
            position=str(self.head),
        )
        await wander(self._dice)
        return answer

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
