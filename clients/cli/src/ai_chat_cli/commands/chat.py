"""`ai-chat` without a command."""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass

from ai_chat_client import AsyncClient
from ai_chat_client.errors import NotFoundError
from rich.text import Text

from ai_chat_cli import last_used, output
from ai_chat_cli.chat.chat import Chat, close_names
from ai_chat_cli.chat.picking import pick
from ai_chat_cli.chat.plain import PlainScreen
from ai_chat_cli.chat.screen import Interrupted, Screen
from ai_chat_cli.failure import CliError, ExitCode
from ai_chat_cli.invocation import Invocation
from ai_chat_cli.render import session_heading


@dataclass(frozen=True, slots=True)
class Opening:
    """How a chat begins. `last`: -c. `pick`: -r with its text. `existing_only`: --existing."""

    last: bool
    pick: str | None
    existing_only: bool


def chat(invocation: Invocation, opening: Opening) -> int:
    """Chats until the user leaves; returns the exit code."""
    if invocation.json:
        raise CliError("a chat has no --json; use `send`, `tail` and `show`", ExitCode.USAGE)
    try:
        return asyncio.run(_chat(invocation, opening))
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:  # A terminal that only has lines; elsewhere Ctrl-C is a key.
        output.break_line()
        raise


async def _chat(invocation: Invocation, opening: Opening) -> int:
    task = asyncio.current_task()
    if task is not None:
        # Ending at once would leave the terminal in the state in which single keys are read.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with invocation.async_client() as client, _screen() as screen:
        name = await _open(invocation, opening, client, screen)
        if name is None:
            return ExitCode.OK
        try:
            await Chat(client, screen, invocation.settings).run(name)
        except Interrupted:
            return ExitCode.INTERRUPTED
    return ExitCode.OK


def _screen() -> Screen:
    if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        # Loading it takes longer than everything else; a pipe need not wait for it.
        from ai_chat_cli.chat.terminal import TerminalScreen  # noqa: PLC0415 - See above.

        return TerminalScreen()
    return PlainScreen()


async def _open(invocation: Invocation, opening: Opening, client: AsyncClient, screen: Screen) -> str | None:
    """The session to begin with, made when it is new; None when the user picked none."""
    settings = invocation.settings
    if opening.pick is not None:
        if not screen.interactive:
            raise CliError("there is no terminal to pick on; name the session with -s", ExitCode.USAGE)
        name = await pick(client, screen, opening.pick)
        return None if name is None else await _resume(client, screen, name)
    if opening.last:
        name = last_used.recall(settings.server)
        if name is None:
            raise CliError("no session was used here yet; name one with -s, or pick one with -r", ExitCode.NOT_FOUND)
        return await _resume(client, screen, name)
    if settings.session is None:
        if opening.existing_only:
            raise CliError("--existing needs a name; give it with -s", ExitCode.USAGE)
        session = await client.create_session(ttl=settings.ttl)
        output.show(Text(session.name, "bold")) if screen.interactive else output.data(session.name)
        screen.note("new session; /help says what there is")
        return session.name
    return await _start_or_resume(invocation, opening, client, screen, invocation.session(None))


async def _start_or_resume(
    invocation: Invocation, opening: Opening, client: AsyncClient, screen: Screen, name: str
) -> str:
    try:
        session = await client.get_session(name)
    except NotFoundError:
        hint = await close_names(client, name)
        if opening.existing_only:
            raise CliError(
                f"there is no session {name!r}; {hint or '`ai-chat list` shows what there is'}", ExitCode.NOT_FOUND
            ) from None
        session = await client.create_session(name, ttl=invocation.settings.ttl, allow_existing=True)
        screen.note(f"new session {session.name}; {hint or '/help says what there is'}")
        return session.name
    screen.show(session_heading(session))
    return session.name


async def _resume(client: AsyncClient, screen: Screen, name: str) -> str:
    try:
        session = await client.get_session(name)
    except NotFoundError:
        raise CliError(
            f"the session {name!r} is gone; `ai-chat list` shows what there is", ExitCode.NOT_FOUND
        ) from None
    screen.show(session_heading(session))
    return session.name
