"""Lines from a pipe or a file, or a terminal that cannot move its cursor."""

import asyncio
import os
import select
import sys
import threading
from collections.abc import Iterator
from typing import Self

from ai_chat_cli.chat.screen import nothing_runs
from ai_chat_cli.display import Written
from ai_chat_cli.failure import CliError, ExitCode

_LINE_BYTES = 4 * 1024 * 1024
_READ_BYTES = 65_536
_LINES_AHEAD = 16
_PASTE_SECONDS = 0.05


class PlainScreen(Written):
    """One line is one message; on a terminal, lines that arrive together are one block and one message."""

    interactive = False

    def __init__(self) -> None:
        super().__init__()
        self.stop = nothing_runs
        self._lines: asyncio.Queue[str | CliError | None] = asyncio.Queue()
        self._room = threading.Semaphore(_LINES_AHEAD)
        self._ended = False

    async def read(self, draft: str = "") -> str | None:  # noqa: ARG002 - What was not sent cannot be edited here.
        if self._ended:
            return None
        line = await self._lines.get()
        self._room.release()
        if isinstance(line, CliError):
            raise line
        self._ended = line is None
        return line

    async def ask(self, question: str) -> str | None:
        self.note(question)
        return await self.read()

    def width(self) -> int | None:
        return None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        # A thread of its own that may be left behind: reading cannot be cancelled, and must not hold up the end.
        threading.Thread(target=self._pump, args=(loop,), name="ai-chat-stdin", daemon=True).start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        pass

    def _pump(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            for line in _blocks():
                self._put(loop, line)
            self._put(loop, None)
        except CliError as error:
            self._put(loop, error)
        except RuntimeError:
            pass  # The loop is closed: the chat is over.

    def _put(self, loop: asyncio.AbstractEventLoop, line: str | CliError | None) -> None:
        self._room.acquire()
        loop.call_soon_threadsafe(self._lines.put_nowait, line)


def _blocks() -> Iterator[str]:
    # Not sys.stdin: a thread that is left behind in its buffer would hold a lock that the interpreter needs to end.
    descriptor = sys.stdin.fileno()
    return _typed(descriptor) if os.isatty(descriptor) else _piped(descriptor)


def _piped(descriptor: int) -> Iterator[str]:
    pending = b""
    while read := os.read(descriptor, _READ_BYTES):
        *lines, pending = (pending + read).split(b"\n")
        yield from (_text(line.removesuffix(b"\r")) for line in lines)
        if len(pending) > _LINE_BYTES:
            raise CliError("a line on stdin is longer than any message may be", ExitCode.USAGE)
    if pending:
        yield _text(pending.removesuffix(b"\r"))


def _typed(descriptor: int) -> Iterator[str]:
    # A terminal gives one line at a time, those of a pasted block without a pause between them.
    while block := os.read(descriptor, _READ_BYTES):
        while len(block) < _LINE_BYTES and select.select([descriptor], [], [], _PASTE_SECONDS)[0]:
            more = os.read(descriptor, _READ_BYTES)
            block += more
            if not more:
                break
        yield _text(block.removesuffix(b"\n"))


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise CliError("stdin is not UTF-8; convert it first, for example with iconv", ExitCode.USAGE) from None
