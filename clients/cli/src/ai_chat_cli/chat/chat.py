"""The chat in one session after another."""

import asyncio
import contextlib
import math
import shutil
from itertools import islice

from ai_chat_client import AiChatError, AsyncClient
from aichat.session.v1 import session_service_pb2 as api
from rich.text import Text

from ai_chat_cli import last_used
from ai_chat_cli.chat.answer import AwaitedAnswer
from ai_chat_cli.chat.conversation import Conversation
from ai_chat_cli.chat.screen import Screen
from ai_chat_cli.chat.slash import Leave, SlashCommands, Switch, as_line, as_message, parse
from ai_chat_cli.explain import explain
from ai_chat_cli.live_view import LiveView
from ai_chat_cli.names import LOOKED_AT, close_matches, suggestion
from ai_chat_cli.render import message_text
from ai_chat_cli.settings import Settings

_SHOWN_ON_RESUME = 10
_UNATTENDED_SECONDS = 60.0
"""So long a pipe waits for a connection that was lost; a person decides for themselves."""


class Chat:
    """Talks to one server through one screen."""

    def __init__(self, client: AsyncClient, screen: Screen, settings: Settings) -> None:
        self._client = client
        self._screen = screen
        self._settings = settings

    async def run(self, session: str) -> None:
        """Chats in `session`, which exists, and wherever the user goes from there, until the user leaves."""
        while True:
            try:
                await _Talk(self._client, self._screen, self._settings, session).run()
            except Switch as switch:
                session = switch.session
            except Leave:
                self._screen.note(f"resume it with: ai-chat -s {session}")
                return


async def close_names(client: AsyncClient, name: str) -> str:
    """`did you mean ...?` of a name that does not exist; empty when nothing is like it, or the list cannot be had."""
    try:
        page = await client.list_sessions(page_size=LOOKED_AT)
    except AiChatError:
        return ""
    return suggestion(close_matches(name, (session.name for session in islice(page.sessions, LOOKED_AT))))


class _Talk:
    """The chat in one session."""

    def __init__(self, client: AsyncClient, screen: Screen, settings: Settings, session: str) -> None:
        self._client = client
        self._screen = screen
        self._session = session
        self._server = settings.server
        self._conversation = Conversation(client, session, settings.author)
        self._slash = SlashCommands(client, screen, settings, session)
        self._answer = AwaitedAnswer()
        self._nobody: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Raises Leave or Switch; AiChatError when the session can no longer be followed."""
        snapshot = await self._client.get_snapshot(self._session, tail=_SHOWN_ON_RESUME)
        last_used.remember(self._server, self._session)
        self._greet(snapshot)
        talking = asyncio.create_task(self._talk(), name="talk")
        following = asyncio.create_task(self._follow(snapshot.position), name="follow")
        try:
            done, _ = await asyncio.wait({talking, following}, return_when=asyncio.FIRST_COMPLETED)
            await (talking if talking in done else following)
        finally:
            for task in (talking, following, self._nobody):
                if task is not None:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, Exception):
                        await task

    def _greet(self, snapshot: api.GetSnapshotResponse) -> None:
        if snapshot.session.message_count > len(snapshot.messages):
            self._screen.note(f"the last {len(snapshot.messages)}; `ai-chat show {self._session}` prints all")
        for message in snapshot.messages:
            self._screen.show(Text.assemble(message_text(message), "\n"))

    async def _follow(self, position: str) -> None:
        view = LiveView(
            self._screen.show,
            self._screen.note,
            width=shutil.get_terminal_size().columns,
            own=self._conversation.own,
            answered=self._answer.seen,
        )
        while True:
            watch = self._client.watch_session(
                self._session,
                after_position=position,
                # The session was read a moment ago: also a first stream that breaks is worth another attempt.
                give_up_after=math.inf if self._screen.interactive else _UNATTENDED_SECONDS,
                on_loss=view.lost,
            )
            async with contextlib.aclosing(watch) as events:
                async for event in events:
                    view.see(event)
            # Deleted; whoever writes to it makes it again, and all of that is news.
            position = ""

    async def _talk(self) -> None:
        while True:
            line = await self._screen.read(as_line(self._conversation.unsent))
            if line is None:
                await self._finish()
                raise Leave
            if not line.strip():
                continue
            command = parse(line)
            try:
                if command is not None:
                    await self._slash.run(*command)
                else:
                    await self._say(as_message(line))
            except AiChatError as error:
                if not self._screen.interactive:
                    raise
                self._screen.note(f"error: {explain(error)}")

    async def _say(self, text: str) -> None:
        self._answer.expect()
        try:
            await self._conversation.send(text)
        except BaseException:
            self._answer.withdraw()
            raise
        if self._screen.interactive:
            if self._nobody is not None:
                self._nobody.cancel()
            self._nobody = asyncio.create_task(self._say_if_nobody(), name="nobody")

    async def _say_if_nobody(self) -> None:
        if not await self._answer.begins():
            self._screen.note("nobody has answered; your message is kept")

    async def _finish(self) -> None:
        """At the end of a pipe: what was asked there is still answered."""
        if not self._screen.interactive and not await self._answer.complete():
            self._screen.note("nobody has answered; your message is kept")
