"""What is read again while the session goes on: no more is told than what was read."""

import asyncio
import random

from aichat.session.v1 import session_service_pb2 as api
from stream_gateway.budget import Budget
from stream_gateway.feed import Feed
from stream_gateway.followed import FollowedSession
from stream_gateway.history import History
from stream_gateway.tasks import Tasks
from support.event_stream import EventStream
from support.viewer_socket import opened
from unit.gateway.model import NAME, Server


class PausingServer(Server):
    """Waits, when messages are asked for, until `answers` is set; `asked`: somebody does."""

    def __init__(self) -> None:
        super().__init__(random.Random(0))  # noqa: S311 - The model's dice.
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()

    async def list_messages(
        self, session: str, *, page_size: int = 0, after_position: str = ""
    ) -> api.ListMessagesResponse:
        self.asked.set()
        await self.answers.wait()
        return await super().list_messages(session, page_size=page_size, after_position=after_position)


async def test_a_reply_that_ends_while_what_was_missed_is_read_is_not_taken_for_one_in_progress() -> None:
    server, tasks = PausingServer(), Tasks()
    server.append(1)
    feed = Feed(Budget(), lambda _: None)
    followed = FollowedSession(NAME, feed, History(server), tasks, lambda: None)
    viewer, socket = opened()
    try:
        async with asyncio.timeout(60):
            followed.suspect()
            await followed.known()
            viewer.follow(feed.ring)
            server.append(1)
            server.begin()
            server.write(1)
            followed.suspect()
            await server.asked.wait()
            server.finish()
            server.answers.set()
            await followed.verify()
        viewer.pump()
        told = [event.json()["type"] for event in EventStream().feed(b"\n\n".join([*socket.frames, b""]))]
        assert [kind for kind in told if kind != "updated"] == ["user", "snapshot", "complete"]
        assert feed.head == server.head
        assert feed.reply is None
    finally:
        await tasks.close()
