"""A real terminal: the line being typed stays below what others write."""

import contextlib
import shutil
from typing import TYPE_CHECKING, Self, TextIO, cast

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.patch_stdout import StdoutProxy
from rich.console import RenderableType

from ai_chat_cli import output
from ai_chat_cli.chat.screen import Interrupted, nothing_runs
from ai_chat_cli.text import safe

if TYPE_CHECKING:
    from collections.abc import Callable

_PROMPT = "> "
_BUNDLING_SECONDS = 0.02
"""Lines that come within so long are printed at once: each time the prompt is drawn anew."""


class TerminalScreen:
    """Enter sends, Alt-Enter begins a new line, a pasted block stays one text.

    Ctrl-C stops what runs; when nothing does it empties the line, and when that is empty it leaves. A line that others
    are still writing is shown just above the prompt, and moves up when it is complete.
    """

    interactive = True

    def __init__(self) -> None:
        self.stop: Callable[[], bool] = nothing_runs
        self._drafted = ""
        self._messages: PromptSession[str] = PromptSession(
            self._prompt, multiline=True, key_bindings=self._key_bindings(), prompt_continuation="  "
        )
        self._questions: PromptSession[str] = PromptSession()
        self._patched = contextlib.ExitStack()

    async def read(self, draft: str = "") -> str | None:
        try:
            return await self._messages.prompt_async(default=draft)
        except EOFError:
            return None

    async def ask(self, question: str) -> str | None:
        try:
            return await self._questions.prompt_async(safe(question))
        except (EOFError, KeyboardInterrupt):
            return None

    def show(self, renderable: RenderableType) -> None:
        output.show(renderable)

    def note(self, text: str) -> None:
        output.note(text)

    def draft(self, text: str) -> None:
        if text != self._drafted:
            self._drafted = text
            self._messages.app.invalidate()

    def width(self) -> int | None:
        return shutil.get_terminal_size().columns - 1

    async def __aenter__(self) -> Self:
        # Also between two prompts: keys pressed there wait for the next one, Enter and Ctrl-D among them.
        self._patched.enter_context(self._messages.app.input.raw_mode())
        # raw: colours come from rich, which only lets safe text through.
        proxy = self._patched.enter_context(StdoutProxy(sleep_between_writes=_BUNDLING_SECONDS, raw=True))
        self._patched.enter_context(contextlib.redirect_stdout(cast("TextIO", proxy)))
        self._patched.enter_context(contextlib.redirect_stderr(cast("TextIO", proxy)))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._patched.close()

    def _prompt(self) -> StyleAndTextTuples:
        # What is left on the screen of a line that was entered is the line: the draft goes on above the next prompt.
        drafted = self._drafted if not self._messages.app.is_done else ""
        return [("", f"{drafted}\n{_PROMPT}" if drafted else _PROMPT)]

    def _key_bindings(self) -> KeyBindings:
        bindings = KeyBindings()

        @bindings.add("enter")
        def _send(event: KeyPressEvent) -> None:
            event.current_buffer.validate_and_handle()

        @bindings.add("escape", "enter")
        def _new_line(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\n")

        @bindings.add("c-c")
        def _interrupt(event: KeyPressEvent) -> None:
            if self.stop():
                return
            if event.current_buffer.text:
                event.current_buffer.reset()
            else:
                event.app.exit(exception=Interrupted())

        return bindings
