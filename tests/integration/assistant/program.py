"""The assistant as a real process."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from support.child import START_SECONDS, Child
from support.processes import INHERITED
from support.running import inherited

COMMAND: Final = (sys.executable, "-m", "ai_chat_assistant")


class AssistantProcess(Child):
    """`python -m ai_chat_assistant` with a clean environment. Context manager; entering waits until it follows."""

    def __init__(self, server: str, environment: Mapping[str, str] | None = None, *, wait: bool = True) -> None:
        own = {"SESSION_SVC_ADDRESS": server, "LOG_FORMAT": "json"}
        super().__init__("assistant", COMMAND, {**inherited(INHERITED), **own, **(environment or {})})
        self._is_waited_for = wait

    def wait(self) -> None:
        """Waits until it follows, unless that was not to be waited for."""
        if self._is_waited_for:
            self.wait_for("following")

    def wait_for(self, event: str) -> None:
        """Returns once it has logged `event`."""
        self.until(lambda: f'"event": "{event}"' in self.log, f"{event!r} is not in the log")


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    """Runs it to its end; returns its exit status and what it said on stderr."""
    ended = subprocess.run(
        [*COMMAND, *arguments],
        env={**inherited(INHERITED), **environment},
        stderr=subprocess.PIPE,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    return ended.returncode, ended.stderr
