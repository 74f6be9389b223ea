"""Stopping in two stages: the first signal drains, the second ends the process at once."""

import asyncio
import os
import signal
from types import TracebackType
from typing import Final, Self

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Turns SIGTERM and SIGINT into an event, while entered.

    `draining` is set by the first signal. The second ends the process without
    waiting for anything: whoever sends it has waited long enough.
    """

    def __init__(self) -> None:
        self.draining = asyncio.Event()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._received, number)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.remove_signal_handler(number)

    def _received(self, number: int) -> None:
        if self.draining.is_set():
            os._exit(128 + number)
        self.draining.set()
