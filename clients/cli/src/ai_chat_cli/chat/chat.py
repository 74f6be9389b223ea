"""The chat in one session after another."""

import asyncio
import contextlib
import math
from collections.abc import Coroutine
from itertools import islice
from shlex import quote
from typing import Any

from ai_chat_client import AiChatError, AsyncClient
from ai_chat_client.errors import NotFoundError
from aichat.session.v1 import session_service_pb2 as api
from rich.text import Text

from ai_chat_cli import last_used
from ai_chat_cli.chat.conversation import Conversation, Retried
from ai_chat_cli.chat.screen import Screen, nothing_runs
from ai_chat_cli.chat.slash import Leave, SlashCommands, Switch, as_line, as_message, parse
from ai_chat_cli.explain import explain
from ai_chat_cli.following import follow
from ai_chat_cli.live_view import LiveView
from ai_chat_cli.names import LOOKED_AT, close_matches, suggestion
from ai_chat_cli.render import message_text
from ai_chat_cli.settings import Settings

_SHOWN_ON_RESUME = 10
_BEGINS_SECONDS = 5.0
"""Who answers claims the session at once, long before the first word; after so long without it, nobody does."""
_NOBODY = "nobody has answered; your message is kept"
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
                self._screen.note(f"resume it with: ai-chat -s {quote(session)}")
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
        self._conversation = Conversation(client, session, settings)
        self._exchange = self._conversation.exchange
        self._slash = SlashCommands(client, screen, settings, session, retry=self._retry)
        self._tasks: set[asyncio.Task[None]] = set()
        self._nobody: asyncio.Task[None] | None = None
        self._stopping = ""

    async def run(self) -> None:
        """Raises Leave or Switch; AiChatError when the session can no longer be followed."""
        snapshot = await self._client.get_snapshot(self._session, tail=_SHOWN_ON_RESUME)
        last_used.remember(self._server, self._session)
        self._greet(snapshot)
        talking = self._task(self._talk(), "talk")
        following = self._task(self._follow(snapshot.position), "follow")
        self._screen.stop = self._stop_mine
        try:
            done, _ = await asyncio.wait({talking, following}, return_when=asyncio.FIRST_COMPLETED)
            await (talking if talking in done else following)
        except asyncio.CancelledError:
            # Ctrl-C where it is no key: in a pipe, on a terminal that only has lines.
            if not self._screen.interactive and self._exchange.mine is not None:
                await self._stop(self._exchange.mine)
            raise
        finally:
            self._screen.stop = nothing_runs
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._screen.draft("")

    def _greet(self, snapshot: api.GetSnapshotResponse) -> None:
        if snapshot.session.message_count > len(snapshot.messages):
            self._screen.note(f"the last {len(snapshot.messages)}; `ai-chat show {quote(self._session)}` prints all")
        for message in snapshot.messages:
            self._screen.show(Text.assemble(message_text(message), "\n"))
        if self._screen.interactive and self._conversation.take_up(snapshot):
            self._screen.note(
                "this question was taken out of the session to be asked again, and was not; Enter sends it"
            )

    async def _follow(self, position: str) -> None:
        view = LiveView(self._screen, width=self._width, own=self._conversation.own)
        events = follow(
            self._client,
            self._session,
            after_position=position,
            # The session was read a moment ago: also a first stream that breaks is worth another attempt.
            give_up_after=math.inf if self._screen.interactive else _UNATTENDED_SECONDS,
            on_loss=view.lost,
        )
        async with contextlib.aclosing(events):
            async for event in events:
                await self._exchange.take(event)
                view.see(event)

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
                    await self._conversation.send(as_message(line))
                    self._expect_an_answer()
            except AiChatError as error:
                if not self._screen.interactive:
                    raise
                self._screen.note(f"error: {explain(error)}")

    async def _retry(self) -> None:
        match await self._conversation.retry():
            case Retried.YES:
                self._expect_an_answer()
            case Retried.NO_QUESTION:
                self._screen.note("there is no question to be answered again")
            case Retried.IS_BEING_ANSWERED:
                self._screen.note("a reply is being written; once it has ended, or was stopped, it can be retried")

    def _expect_an_answer(self) -> None:
        if self._screen.interactive:
            if self._nobody is not None:
                self._nobody.cancel()
            self._nobody = self._task(self._say_if_nobody(), "nobody")

    async def _say_if_nobody(self) -> None:
        if not await self._exchange.begins(_BEGINS_SECONDS):
            self._screen.note(_NOBODY)

    async def _finish(self) -> None:
        """At the end of a pipe: what was asked there is still answered."""
        if self._screen.interactive or not self._exchange.expected:
            return
        if await self._exchange.begins(_BEGINS_SECONDS):
            await self._exchange.answer()
        else:
            self._screen.note(_NOBODY)

    def _stop_mine(self) -> bool:
        """Ctrl-C: stops the reply to one's own message; a second time, or without one, something else is meant."""
        reply = self._exchange.mine
        if reply is None or reply == self._stopping:
            return False
        self._stopping = reply
        self._task(self._stop(reply), "stop")
        return True

    async def _stop(self, reply: str) -> None:
        try:
            await self._client.stop_reply(self._session, reply_id=reply)
        except NotFoundError:
            pass  # It has ended meanwhile.
        except AiChatError as error:
            self._stopping = ""
            self._screen.note(f"error: the reply was not stopped: {explain(error)}")

    def _width(self) -> int | None:
        return self._screen.width()

    def _task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        if name not in {"talk", "follow"}:
            task.add_done_callback(self._tasks.discard)
        return task
