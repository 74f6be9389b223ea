"""A program as a child process with a clean environment, in a directory of its own, its output in a file there."""

import shutil
import signal
import subprocess
import tempfile
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from aichat_dev.spawn import end, kill, spawn
from support.running import Running

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
LAST_CHARACTERS: Final = 6000
PAUSE_SECONDS: Final = 0.02


class ChildFailedError(AssertionError):
    """It ended, or was not there in time; the text holds the end of what it printed."""


class Child(Running):
    """`command` in `directory`, which is gone with it. `working_directory`: another one to run in.

    It may be started again after its end: what it printed before stays.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        working_directory: Path | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = dict(environment)
        self.directory = Path(tempfile.mkdtemp(prefix=f"aichat-{name}-"))
        self._working_directory = working_directory or self.directory
        self._log = self.directory / "log"
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running (or last) process."""
        if self._process is None:
            raise ChildFailedError(f"{self.name} was not started")
        return self._process

    @property
    def log(self) -> str:
        """What it has printed, over all its starts."""
        return self._read(0)

    @property
    def output(self) -> str:
        """What it has printed since its last start."""
        return self._read(self._log_start)

    @property
    def last_words(self) -> str:
        """See Running."""
        return self.log[-LAST_CHARACTERS:]

    def start(self) -> None:
        """Starts it, again after `kill` or `terminate`, and waits until it is there."""
        self.spawn()
        self.wait()

    @abstractmethod
    def wait(self) -> None:
        """Waits until it is there."""

    def spawn(self) -> None:
        """Starts it and returns at once. Only in the main thread: the child ends with the thread that starts it."""
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = spawn(
                self.command, output=log, environment=self.environment, directory=self._working_directory
            )

    def kill(self) -> None:
        """Ends it as a crash would (SIGKILL)."""
        kill(self.process)

    def terminate(self, *, wait: bool = True) -> int | None:
        """Asks it to end in order (SIGTERM). By default waits until it has, and returns its exit status."""
        if wait:
            end(self.process, grace=STOP_SECONDS)
            return self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        return None

    def remove(self) -> None:
        """See Running."""
        if self._process is not None:
            kill(self._process)
        shutil.rmtree(self.directory, ignore_errors=True)

    def until(self, condition: Callable[[], object], problem: str) -> None:
        """Returns once `condition()` holds; ChildFailedError, which names `problem`, when it ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            if self.process.poll() is not None:
                raise ChildFailedError(f"{self.name} ended with status {self.process.returncode}; {self._said}")
            if time.monotonic() > deadline:
                raise ChildFailedError(f"{self.name}: {problem} after {START_SECONDS:g} s; {self._said}")
            time.sleep(PAUSE_SECONDS)

    @property
    def _said(self) -> str:
        return f"it said:\n{self.log[-LAST_CHARACTERS:]}"

    def _read(self, start: int) -> str:
        if not self._log.exists():
            return ""
        with self._log.open("rb") as log:
            log.seek(start)
            return log.read().decode("utf-8", "replace")
