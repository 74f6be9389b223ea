"""The assistant as a real process."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aichat_dev.spawn import end, kill, spawn
from support.processes import INHERITED
from support.until import until

START_SECONDS: Final = 30.0
COMMAND: Final = (sys.executable, "-m", "ai_chat_assistant")


class AssistantProcess:
    """`python -m ai_chat_assistant` with a clean environment. Context manager; entering waits until it follows."""

    def __init__(self, server: str, environment: Mapping[str, str] | None = None, *, wait: bool = True) -> None:
        self._environment = {"SESSION_SVC_ADDRESS": server, "LOG_FORMAT": "json", **(environment or {})}
        self._wait = wait
        self._directory = tempfile.TemporaryDirectory(prefix="aichat-assistant-")
        self._log = Path(self._directory.name) / "log"
        self.process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self.process = spawn(
                COMMAND,
                output=output,
                environment={**_inherited(), **self._environment},
                directory=Path(self._directory.name),
            )
        try:
            if self._wait:
                self.wait_for("following")
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is not None:
            exc.add_note(f"--- assistant:\n{self.log[-6000:]}")
        self.kill()
        self._directory.cleanup()

    def wait_for(self, event: str) -> None:
        """Returns once it has logged `event`."""
        until(lambda: f'"event": "{event}"' in self.log, timeout=START_SECONDS, what=f"{event!r} in the log")

    def kill(self) -> None:
        """Ends it as a crash would."""
        kill(self.process)

    def terminate(self) -> int:
        """Asks it to end, waits for that, returns its exit status."""
        end(self.process, grace=START_SECONDS)
        return self.process.returncode


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    """Runs it to its end; returns its exit status and what it said on stderr."""
    ended = subprocess.run(
        [*COMMAND, *arguments],
        env={**_inherited(), **environment},
        stderr=subprocess.PIPE,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    return ended.returncode, ended.stderr


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in INHERITED if name in os.environ}
