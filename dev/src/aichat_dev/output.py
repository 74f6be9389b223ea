"""What `make run` prints: each program's lines behind its name, and our own words."""

import os
import select
import sys
import threading
from typing import IO, Final

COLOURS: Final = ("36", "35", "33", "32", "34")
"""ANSI foreground colours, one per program in the order of their start."""

RESET: Final = "\x1b[0m"
NAME_WIDTH: Final = 14


class Output:
    """Writes whole lines to stderr, coloured on a terminal, and goes on when the terminal is gone."""

    def __init__(self) -> None:
        self._terminal = select.poll() if sys.stderr.isatty() else None
        if self._terminal is not None:
            self._terminal.register(sys.stderr, 0)  # A hang-up is always reported.
        self._coloured = self._terminal is not None and not os.environ.get("NO_COLOR")
        self._colours: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Prints a line of the run itself."""
        self._write("ai-chat", text)

    def terminal_is_gone(self) -> bool:
        """Whether the lines went to a terminal that has been closed.

        SIGHUP alone would not tell: it goes to the leader of the terminal's session, and `make` keeps it to itself.
        """
        return self._terminal is not None and bool(self._terminal.poll(0))

    def follow(self, name: str, source: IO[bytes]) -> threading.Thread:
        """Prints the lines of `source` behind `name`, from a thread that ends with the source."""
        thread = threading.Thread(target=self._pump, args=(name, source), name=f"output of {name}", daemon=True)
        thread.start()
        return thread

    def _pump(self, name: str, source: IO[bytes]) -> None:
        with source:
            for line in source:
                self._write(name, line.decode("utf-8", "replace").rstrip("\r\n"))

    def _write(self, name: str, text: str) -> None:
        label = f"{name:<{NAME_WIDTH}} |"
        if self._coloured:
            colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
            label = f"\x1b[{colour}m{label}{RESET}"
        try:
            sys.stderr.write(f"{label} {text}\n")
            sys.stderr.flush()
        except (OSError, ValueError):  # The terminal is gone; what remains to be done does not need it.
            return
