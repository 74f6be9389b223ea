"""Whoever comes while nobody knows where the session is misses nothing of what is said from then on."""

import asyncio
import random

from aichat.session.v1 import session_service_pb2 as api
from stream_gateway.history import History
from stream_gateway.http.stream import Wish, join
from stream_gateway.hub import Hub
from stream_gateway.joining import Start
from stream_gateway.reach import EVENTS, Reach
from stream_gateway.viewer import Viewer
from support.event_stream import EventStream
from support.viewer_socket import Socket
from unit.gateway.model import NAME, Server


class SlowServer(Server):
    """Publishes at once, but answers no call until `answers` is set; `asked`: somebody waits for one."""

    def __init__(self) -> None:
        super().__init__(random.Random(0))  # noqa: S311 - The model's dice.
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()

    async def get_snapshot(self, session: str, *, tail: int = 0) -> api.GetSnapshotResponse:
        self.asked.set()  # By now it is subscribed to.
        await self.answers.wait()
        return await super().get_snapshot(session, tail=tail)


async def test_what_is_said_before_the_head_is_known_is_told_to_who_asked_for_what_is_new() -> None:
    decoder, told = EventStream(), asyncio.Queue[tuple[str, str]]()

    def take(body: bytes) -> None:
        for event in decoder.feed(body):
            told.put_nowait((event.json()["payload"]["content"], event.id))

    server, socket, viewer = SlowServer(), Socket(take), Viewer()
    hub = Hub(server, History(server), Reach([EVENTS]))
    running = asyncio.create_task(hub.run())
    socket.viewer = viewer
    hub.enter(viewer)
    server.append(2)
    try:
        await join(
            hub, viewer, Wish(NAME, Start.HEAD), lambda first: viewer.open(socket, b"HTTP/1.1 200\r\n\r\n", first)
        )
        await server.asked.wait()
        server.append(2)
        server.answers.set()
        async with asyncio.timeout(60):
            assert await told.get() == ("said 3", str(server.head.at(3)))
            assert await told.get() == ("said 4", str(server.head.at(4)))
        assert told.empty()
    finally:
        viewer.end()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
