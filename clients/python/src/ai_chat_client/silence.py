"""Ends a blocking read that has gone on for too long."""

import threading
import time
from collections.abc import Callable
from typing import Self


class SilenceGuard:
    """Calls `on_silence` once, from its own thread, when `waiting` was called and nothing `arrived` for `seconds`."""

    def __init__(self, seconds: float, on_silence: Callable[[], object]) -> None:
        self._seconds = seconds
        self._on_silence = on_silence
        self._waiting_since: float | None = None
        self._done = threading.Event()
        self.fired = False

    def waiting(self) -> None:
        """A read begins."""
        self._waiting_since = time.monotonic()

    def arrived(self) -> None:
        """The read has ended; the time until the next one does not count."""
        self._waiting_since = None

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, name="ai-chat-silence", daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._done.set()

    def _watch(self) -> None:
        while not self._done.wait(self._seconds / 8):
            since = self._waiting_since
            if since is not None and time.monotonic() - since > self._seconds:
                self.fired = True
                self._on_silence()
                return
