"""`ai-chat ask`."""

import asyncio
import contextlib
import signal
import sys
import uuid
from collections.abc import AsyncGenerator, Iterable
from datetime import timedelta

from ai_chat_client import AiChatError, AsyncClient, message_to_json
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api

from ai_chat_cli import output
from ai_chat_cli.commands.sending import content_of
from ai_chat_cli.exchange import Answer, Exchange
from ai_chat_cli.failure import CliError, ExitCode
from ai_chat_cli.following import follow
from ai_chat_cli.invocation import Invocation
from ai_chat_cli.live_reply import Said
from ai_chat_cli.render import ending
from ai_chat_cli.text import SafePieces

_GIVE_UP_SECONDS = 60.0
"""So long a connection that was lost is looked for."""
_LAST_WORD_SECONDS = 5.0
"""So long the end of a reply that was stopped is waited for."""

KEPT = "your message is kept"


def ask(invocation: Invocation, name: str, text: str, *, timeout: float) -> int:
    """Appends one message and prints the answer as it is written; returns the exit code."""
    question = model.Message(
        id=uuid.uuid4().hex,
        role=model.ROLE_USER,
        content=content_of(text),
        author=invocation.settings.author,
    )
    return asyncio.run(_ask(invocation, invocation.session(name), question, timeout))


async def _ask(invocation: Invocation, session: str, question: model.Message, seconds: float) -> int:
    loop, interrupted = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    async with invocation.async_client() as client:
        asking = _Asking(client, session, question, _Printer(as_json=invocation.json))
        task = asyncio.create_task(asking.run(invocation.settings.ttl, seconds))
        stopping = asyncio.create_task(interrupted.wait())
        try:
            await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            loop.remove_signal_handler(signal.SIGINT)  # The second one ends it at once.
            await asking.stop(task)
            return ExitCode.INTERRUPTED
        finally:
            for left in (task, stopping):
                left.cancel()
            await asyncio.gather(task, stopping, return_exceptions=True)


class _Asking:
    """One question and its answer."""

    def __init__(self, client: AsyncClient, session: str, question: model.Message, printer: "_Printer") -> None:
        self._client = client
        self._session = session
        self._question = question
        self._printer = printer
        self._exchange = Exchange()
        self._sent = False

    async def run(self, ttl: timedelta | None, seconds: float) -> int:
        """Asks, prints, returns the exit code. `seconds`: until an answer must begin. CliError, AiChatError."""
        if ttl is not None:
            await self._client.create_session(self._session, ttl=ttl, allow_existing=True)
        watch = follow(self._client, self._session, give_up_after=_GIVE_UP_SECONDS)
        async with contextlib.aclosing(watch) as events:
            # Watching comes first: what is said from now on, however soon, is seen, and in order.
            async for event in events:
                if event.HasField("caught_up"):
                    break
                self._exchange.see(event)
            following = asyncio.create_task(self._follow(events))
            answering = asyncio.create_task(self._converse(seconds))
            try:
                await asyncio.wait((following, answering), return_when=asyncio.FIRST_COMPLETED)
                return await (answering if answering.done() else following)
            finally:
                for task in (following, answering):
                    task.cancel()
                await asyncio.gather(following, answering, return_exceptions=True)

    async def stop(self, running: asyncio.Task[int]) -> None:
        """Stops the reply to the question, if it has begun, and lets its end be printed."""
        if self._exchange.mine is None:
            output.break_line()
            if self._sent:
                output.note(f"not answered yet; {KEPT}")
            return
        with contextlib.suppress(AiChatError):  # It has ended meanwhile, or nobody can be reached.
            await self._client.stop_reply(self._session, reply_id=self._exchange.mine)
        await asyncio.wait((running,), timeout=_LAST_WORD_SECONDS)
        self._printer.end_line()
        output.note("stopped")

    async def _follow(self, events: AsyncGenerator[api.WatchSessionResponse, None]) -> int:
        async for event in events:
            await self._exchange.take(event)
            match event.WhichOneof("event"):
                case "reply_chunk" if event.reply_chunk.id == self._exchange.mine:
                    self._printer.add(event.reply_chunk.chunks)
                case "reply_snapshot" if event.reply_snapshot.id == self._exchange.mine:
                    self._printer.replace(event.reply_snapshot.chunks)
        raise AssertionError("a session is followed for ever")

    async def _converse(self, seconds: float) -> int:
        self._exchange.ask(self._question.id)
        self._exchange.sent(
            await self._client.append_messages(self._session, [self._question], request_id=self._question.id)
        )
        self._sent = True
        if not await self._exchange.begins(seconds):
            raise CliError(f"nobody answered within {seconds:g} s; {KEPT}", ExitCode.NOBODY_ANSWERED)
        answer = await self._exchange.answer()
        self._printer.end(answer.message)
        why = _failure(answer)
        if why:
            raise CliError(why, ExitCode.NO_WHOLE_ANSWER)
        return ExitCode.OK


def _failure(answer: Answer) -> str:
    """Why it is no whole answer; "" when it is one."""
    if answer.message is None:
        return f"no answer: {answer.why}"
    how = ending(answer.message)
    return f"the reply is not complete: {how}" if how else ""


class _Printer:
    """Prints one answer as it comes: for people what a terminal can safely show, into a pipe every character."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._safe = SafePieces() if output.is_terminal() else None
        self._said = Said()
        self._last = "\n"

    def add(self, chunks: Iterable[model.Chunk]) -> None:
        """The next pieces; those that are not text are not the answer."""
        for chunk in chunks:
            self._write(self._said.more(chunk.text))

    def replace(self, chunks: Iterable[model.Chunk]) -> None:
        """All that was said so far, as a snapshot tells it."""
        self._catch_up("".join(chunk.text for chunk in chunks))

    def end(self, message: model.Message | None) -> None:
        """What the answer became."""
        if self._as_json:
            if message is not None:
                output.data(message_to_json(message))
            return
        if message is not None:
            self._catch_up(message.content)
        self.end_line()

    def end_line(self) -> None:
        """Leaves the cursor at the beginning of a line."""
        if self._last != "\n":
            self._put("\n")

    def _catch_up(self, whole: str) -> None:
        news = self._said.whole(whole)
        if news is None:
            self.end_line()
            output.note("what was stored differs from what was said:")
            news = whole
        self._write(news)

    def _write(self, text: str) -> None:
        if self._as_json or not text:
            return
        self._put(self._safe.next(text) if self._safe else text)

    def _put(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
        self._last = text[-1:] or self._last
