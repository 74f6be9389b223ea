"""The commands that begin with a slash."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from ai_chat_client import AsyncClient
from rich.text import Text

from ai_chat_cli.chat.picking import pick
from ai_chat_cli.chat.screen import Screen
from ai_chat_cli.names import close_matches, suggestion
from ai_chat_cli.render import SessionList
from ai_chat_cli.settings import Settings
from ai_chat_cli.text import counted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_COMMAND = re.compile(r"/([a-z]+)(?:\s+(.*))?", re.DOTALL)

HELP = """\
/retry           have the last question answered again
/title [TEXT]    show or set the title
/clear           remove all messages
/sessions [TEXT] list sessions
/new             begin a new session
/switch [TEXT]   go to another session
/web             the address of this session's page
/quit, /exit     leave (also Ctrl-D)
//TEXT           send TEXT with one slash in front
Enter sends, Alt-Enter begins a new line, a pasted block is one message.
Ctrl-C stops the reply to your message, else empties the line, else leaves."""


class Leave(Exception):
    """The chat is over."""


class Switch(Exception):
    """The chat goes on in another session."""

    def __init__(self, session: str) -> None:
        super().__init__(session)
        self.session = session


def parse(line: str) -> tuple[str, str] | None:
    """The command in a line and what follows it; None when the line is a message. `/etc/hosts` is one."""
    match = _COMMAND.fullmatch(line.strip())
    return (match[1], (match[2] or "").strip()) if match else None


def as_message(line: str) -> str:
    """The message in a line that is no command."""
    return line[1:] if line.startswith("//") else line


def as_line(message: str) -> str:
    """The line that `as_message` makes this message of, though it may begin like a command."""
    return f"/{message}" if message.startswith("//") or parse(message) else message


class SlashCommands:
    """Runs the commands in one session. Raises Leave and Switch, and AiChatError when a call fails."""

    def __init__(
        self,
        client: AsyncClient,
        screen: Screen,
        settings: Settings,
        session: str,
        *,
        retry: "Callable[[], Awaitable[None]]",
    ) -> None:
        self._retry_last = retry
        self._client = client
        self._screen = screen
        self._settings = settings
        self._session = session
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "help": self._help,
            "retry": self._retry,
            "title": self._title,
            "clear": self._clear,
            "sessions": self._sessions,
            "new": self._new,
            "switch": self._switch,
            "web": self._web,
            "quit": self._quit,
            "exit": self._quit,
        }

    async def run(self, command: str, rest: str) -> None:
        """Runs one."""
        found = self._commands.get(command)
        if found is not None:
            await found(rest)
            return
        hint = suggestion([f"/{name}" for name in close_matches(command, self._commands)]) or "/help lists them"
        self._screen.note(f"there is no command /{command}; {hint}")

    async def _help(self, _: str) -> None:
        for line in HELP.splitlines():
            self._screen.show(Text(line))

    async def _retry(self, _: str) -> None:
        await self._retry_last()

    async def _title(self, rest: str) -> None:
        if rest:
            session = await self._client.update_session(self._session, title=rest)
        else:
            session = await self._client.get_session(self._session)
        self._screen.note(f"title: {session.title}" if session.title else "no title yet")

    async def _clear(self, _: str) -> None:
        session = await self._client.get_session(self._session)
        answer = await self._screen.ask(f"remove {counted(session.message_count)} (y/N)? ")
        if (answer or "").strip().lower() in {"y", "yes"}:
            await self._client.clear_session(self._session, expected_position=session.position)
        else:
            self._screen.note("left as it is")

    async def _sessions(self, rest: str) -> None:
        page = await self._client.list_sessions(query=rest, page_size=20)
        self._screen.show(SessionList(page.sessions, datetime.now(UTC)))

    async def _new(self, _: str) -> None:
        session = await self._client.create_session(ttl=self._settings.ttl)
        raise Switch(session.name)

    async def _switch(self, rest: str) -> None:
        name = await pick(self._client, self._screen, rest)
        if name is not None and name != self._session:
            raise Switch(name)

    async def _web(self, _: str) -> None:
        self._screen.show(Text(f"{self._settings.web_url}/s/{quote(self._session, safe='')}"))

    async def _quit(self, _: str) -> None:
        raise Leave
