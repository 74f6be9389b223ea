"""Data on stdout, talk on stderr."""
# ruff: noqa: PLC0415 - rich is loaded when there is something to show, not for a help text or an answer in a pipe.

import os
import stat
import sys
from typing import TYPE_CHECKING

from ai_chat_cli.text import escaped, safe_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def data(line: str) -> None:
    """One line for programs, as it is; on a terminal, JSON whose values are the same but which it cannot obey."""
    sys.stdout.write(f"{escaped(line) if is_terminal() else line}\n")


def show(renderable: "RenderableType") -> None:
    """Something for people, in colour when stdout is a terminal."""
    from rich.text import Text

    _console(stderr=False).print(renderable, soft_wrap=isinstance(renderable, Text))


def note(text: str) -> None:
    """A remark for people, on stderr; control characters are made visible."""
    from rich.text import Text

    _console(stderr=True).print(Text(safe_line(text), "dim"), soft_wrap=True)


def error(text: str) -> None:
    """What went wrong, in one line on stderr."""
    from rich.text import Text

    _console(stderr=True).print(Text.assemble(("error: ", "bold red"), safe_line(text)), soft_wrap=True)


def break_line() -> None:
    """Leaves the line on which a terminal shows ^C, or a question without an answer."""
    if sys.stderr.isatty():
        sys.stderr.write("\n")


def is_terminal() -> bool:
    """Whether people read what goes to stdout."""
    return sys.stdout.isatty()


def is_file() -> bool:
    """Whether what goes to stdout is kept in a file, and nobody else has the screen."""
    try:
        return stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
    except (OSError, ValueError):  # Closed, or none of the system's.
        return False


def can_ask() -> bool:
    """Whether there is someone to answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    # Made anew each time: while a chat is open, sys.stdout and sys.stderr are others, which keep the prompt in place.
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)
