"""Whoever comes at whichever moment of a reply sees all of it, once, and its end."""

import asyncio
import contextlib
import uuid
from dataclasses import dataclass, field
from typing import Literal

from ai_chat_cli.following import follow
from ai_chat_cli.live_view import LiveView
from ai_chat_cli.text import safe
from ai_chat_client import ROLE_USER, AsyncClient, Message, ReplyWriter
from ai_chat_client.errors import ReplyLost, ReplyStopped
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import RenderableType
from rich.text import Text
from support.processes import Service

End = Literal["finish", "fail", "stop", "clear", "truncate", "delete"]
ENDINGS: dict[End, str] = {
    "finish": "",
    "fail": "[failed: no tea]",
    "stop": "[interrupted: stopped]",
    "clear": "[nothing of it is kept]",
    "truncate": "[nothing of it is kept]",
    "delete": "[nothing of it is kept]",
}
CHAT_CELLS = 24
WAIT_SECONDS = 60

pieces = st.lists(st.text(alphabet="abcé世 \n\r\x1b", min_size=1, max_size=40), min_size=1, max_size=7)


@dataclass
class Viewer:
    """Somebody who looks, in a chat (where lines must fit) or with `tail`."""

    chat: bool
    lines: list[str] = field(default_factory=list)
    drafts: list[str] = field(default_factory=list)
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, renderable: RenderableType) -> None:
        assert isinstance(renderable, Text)
        self.lines += renderable.plain.split("\n")

    def note(self, text: str) -> None:
        del text

    def draft(self, text: str) -> None:
        self.drafts.append(text)

    async def look(self, client: AsyncClient, session: str, *, after: str) -> None:
        view = LiveView(self, width=(lambda: CHAT_CELLS) if self.chat else None)
        async with contextlib.aclosing(follow(client, session, after_position=after)) as events:
            async for event in events:
                view.see(event)
                if event.HasField("caught_up"):
                    self.joined.set()
                if event.HasField("reply_finished"):
                    self.over.set()
                if event.HasField("messages") and self.lines[-1:] == [""]:
                    self.over.set()


@settings(max_examples=25, deadline=None)
@given(
    said=pieces,
    joins=st.lists(st.tuples(st.integers(0, 7), st.booleans(), st.booleans()), min_size=1, max_size=4),
    end=st.sampled_from(list(ENDINGS)),
)
def test_a_reply_is_seen_whole_from_any_moment_on(
    svc: Service, said: list[str], joins: list[tuple[int, bool, bool]], end: End
) -> None:
    asyncio.run(watch_a_reply(svc.address, said, joins, end))


async def watch_a_reply(server: str, said: list[str], joins: list[tuple[int, bool, bool]], end: End) -> None:
    """`joins`: before which piece, whether it is a chat, whether the writer waits until the viewer has caught up."""
    session = f"s-{uuid.uuid4().hex[:12]}"
    async with asyncio.timeout(WAIT_SECONDS), AsyncClient(server) as client, contextlib.AsyncExitStack() as stack:
        head = (await client.append_messages(session, [Message(role=ROLE_USER, content="?")])).position
        viewers: list[Viewer] = []
        with contextlib.suppress(ReplyStopped, ReplyLost):
            async with client.reply(session, author="bot") as reply:
                for at, piece in enumerate([*said, ""]):
                    for before, chat, waits in joins:
                        if min(before, len(said)) != at:
                            continue
                        viewer = Viewer(chat)
                        viewers.append(viewer)
                        looking = asyncio.create_task(viewer.look(client, session, after=head))
                        stack.callback(looking.cancel)
                        if waits:
                            await viewer.joined.wait()
                    if piece:
                        await reply.write(piece)
                for viewer in viewers:
                    await viewer.joined.wait()
                await until_stored(client, session, "".join(said))
                await end_reply(client, reply, session, end)
        for viewer in viewers:
            await viewer.over.wait()
            check(viewer, "".join(said), ENDINGS[end])


async def until_stored(client: AsyncClient, session: str, text: str) -> None:
    while True:
        chunks = (await client.get_snapshot(session)).reply.chunks
        if "".join(chunk.text for chunk in chunks) == text:
            return


async def end_reply(client: AsyncClient, reply: ReplyWriter, session: str, end: End) -> None:
    match end:
        case "finish":
            await reply.finish()
        case "fail":
            await reply.fail("no tea")
        case "stop":
            await client.stop_reply(session)
        case "clear":
            await client.clear_session(session)
        case "truncate":
            await client.truncate_session(session, keep=0)
        case "delete":
            await client.delete_session(session)


def check(viewer: Viewer, said: str, ending: str) -> None:
    """That the viewer saw a heading, the text, the end, and nothing else."""
    heading, *lines = viewer.lines
    assert heading == "bot (assistant)"
    assert lines.pop() == ""
    if ending:
        assert lines.pop() == ending
    shown = "\n".join(lines)
    if viewer.chat:  # Lines were broken at blanks.
        assert "".join(shown.split()) == "".join(safe(said).split())
    else:
        assert shown == safe(said).removesuffix("\n")
    assert viewer.drafts[-1] == ""
