"""A real terminal: the line being typed stays below what others write."""

import contextlib
from typing import Self

from prompt_toolkit import PromptSession
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.patch_stdout import patch_stdout

from ai_chat_cli.chat.screen import Interrupted, Printing
from ai_chat_cli.text import safe


class TerminalScreen(Printing):
    """Enter sends, Alt-Enter begins a new line, a pasted block stays one text. Ctrl-C empties the line, then leaves."""

    interactive = True

    def __init__(self) -> None:
        self._messages: PromptSession[str] = PromptSession(
            "> ", multiline=True, key_bindings=_key_bindings(), prompt_continuation="  "
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

    async def __aenter__(self) -> Self:
        # Also between two prompts: keys pressed there wait for the next one, Enter and Ctrl-D among them.
        self._patched.enter_context(self._messages.app.input.raw_mode())
        # raw: colours come from rich, which only lets safe text through.
        self._patched.enter_context(patch_stdout(raw=True))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._patched.close()


def _key_bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @bindings.add("c-c")
    def _interrupt(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=Interrupted())

    return bindings
