"""A real terminal with a program in it: type, read the screen, hang up."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from support.running import Running
from support.until import PATIENCE_SECONDS

LAST_CHARACTERS: Final = 4000
ROWS, COLUMNS = 40, 120
CONTROL_C, CONTROL_D, ENTER = "\x03", "\x04", "\r"

_BECOME: Final = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, signal.SIG_DFL)  # Whoever runs the tests in the background has it ignored.
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
_ESCAPES: Final = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_=>])")


class Terminal(Running):
    """Context manager: `command` in a session whose controlling terminal it is; killed at the end if need be."""

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, directory: Path | None = None
    ) -> None:
        self.name = f"the terminal of {command[0]}"
        self._command = list(command)
        self._environment = {**(os.environ if environment is None else environment), "TERM": "xterm-256color"}
        self._environment["PROMPT_TOOLKIT_NO_CPR"] = "1"  # Nobody here answers where the cursor is.
        self._directory = directory
        self._received = bytearray()
        self._master: int | None = None
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The program, which leads the terminal's session."""
        assert self._process is not None, "it was not started"
        return self._process

    @property
    def screen(self) -> str:
        """Everything printed so far, without colours and cursor movements."""
        return _ESCAPES.sub("", self._received.decode("utf-8", "replace")).replace("\r\n", "\n")

    @property
    def last_words(self) -> str:
        """See Running."""
        return self.screen[-LAST_CHARACTERS:]

    def start(self) -> None:
        """Starts the program in the terminal."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BECOME, *self._command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=self._environment,
            cwd=self._directory,
            start_new_session=True,
        )
        os.close(slave)
        self._master = master
        self._reader = threading.Thread(target=self._read, args=(master,), daemon=True)
        self._reader.start()

    def remove(self) -> None:
        """See Running."""
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._master is not None:
            self.hang_up()

    def type(self, text: str) -> None:
        """Presses the keys of `text`."""
        assert self._master is not None, "hung up"
        os.write(self._master, text.encode())

    def wait_for(self, text: str, *, timeout: float = PATIENCE_SECONDS, times: int = 1) -> str:
        """Returns the screen once it shows `text` that many times; AssertionError when the program ends before."""
        deadline = time.monotonic() + timeout
        while (screen := self.screen).count(text) < times:
            ended = self.process.poll() is not None and not self._reader.is_alive()
            assert not ended, f"the program ended with {self.process.returncode} and never showed {text!r}"
            assert time.monotonic() < deadline, f"the terminal never showed {text!r}"
            time.sleep(0.02)
        return screen

    def hang_up(self) -> None:
        """Closes the terminal, as closing its window does: its programs get SIGHUP, and cannot write any more."""
        assert self._master is not None, "hung up already"
        self._closing.set()
        self._reader.join(PATIENCE_SECONDS)
        os.close(self._master)
        self._master = None

    def _read(self, master: int) -> None:
        while not self._closing.is_set():
            if not select.select([master], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(master, 65536)
            except OSError:  # The last program on the terminal has ended.
                return
            if not data:
                return
            self._received += data
