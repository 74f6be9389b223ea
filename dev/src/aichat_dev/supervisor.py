"""Keeps a list of programs running: started in order, restarted when one dies, ended in the reverse order."""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

from aichat_dev.output import Output
from aichat_dev.programs import Program

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
READY_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.1

DELAYS: Final = (0.2, 0.5, 1.0, 2.0)
"""How long to wait before the first, second, ... restart within `WINDOW_SECONDS`. One more death ends the run."""

WINDOW_SECONDS: Final = 60.0


class RunFailedError(Exception):
    """A program cannot be kept running; the text says which one and why."""


class Supervisor:
    """Runs `programs` until a signal (Ctrl-C, SIGTERM, the terminal is closed) or until one cannot be kept running.

    A program that dies before all have been ready ends the run at once: its reason, a bad setting for example, will not
    go away. Later ones are restarted, with growing delays. The first signal ends all in order, the second at once.
    """

    def __init__(self, programs: Sequence[Program], output: Output) -> None:
        self._programs = programs
        self._output = output
        self._stopping = threading.Event()
        self._deaths: dict[str, deque[float]] = {program.name: deque() for program in programs}
        self._restart_at: dict[str, float] = {}
        self._started: list[Program] = []

    def run(self, announce: Callable[[], None]) -> None:
        """Returns after a signal, with everything ended; `announce` is called once all are ready.

        Raises RunFailedError, or what `start` of a program raises, also with everything ended.
        """
        with self._handled_signals():
            try:
                self._start()
                if not self._stopping.is_set():
                    announce()
                while not self._stopping.wait(LOOK_SECONDS) and not self._output.terminal_is_gone():
                    for program in self._programs:
                        self._look_after(program)
            finally:
                self._end()

    def _start(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        for program in self._programs:
            program.start()
            self._started.append(program)
        waiting = list(self._programs)
        while waiting and not self._stopping.wait(LOOK_SECONDS):
            for program in self._programs:
                if (status := program.status()) is not None:
                    raise RunFailedError(f"{program.name} {_ending(status)} before it was ready; its words are above")
            waiting = [program for program in waiting if not program.is_ready()]
            if waiting and time.monotonic() > deadline:
                names = " and ".join(program.name for program in waiting)
                raise RunFailedError(f"{names} not ready after {READY_SECONDS:.0f} s")

    def _look_after(self, program: Program) -> None:
        if (status := program.status()) is None:
            return
        now = time.monotonic()
        if program.name not in self._restart_at:
            deaths = self._deaths[program.name]
            while deaths and deaths[0] < now - WINDOW_SECONDS:
                deaths.popleft()
            if len(deaths) == len(DELAYS):
                raise RunFailedError(
                    f"{program.name} {_ending(status)}, the {len(DELAYS) + 1}th time within {WINDOW_SECONDS:.0f} s"
                )
            delay = DELAYS[len(deaths)]
            deaths.append(now)
            self._restart_at[program.name] = now + delay
            self._output.say(f"{program.name} {_ending(status)}; starting it again in {delay:g} s")
        elif now >= self._restart_at[program.name]:
            del self._restart_at[program.name]
            program.start()

    def _end(self) -> None:
        """Whoever uses another program ends before it, so that its last writes arrive."""
        if not self._started:
            return
        self._output.say("stopping; Ctrl-C again ends everything at once")
        self._stopping.set()  # From here on a signal is the second one, also when the run has failed by itself.
        for program in reversed(self._started):
            program.stop()
        self._output.say("stopped")

    @contextmanager
    def _handled_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._received) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _received(self, number: int, frame: FrameType | None) -> None:
        del frame
        if not self._stopping.is_set():
            self._stopping.set()
            return
        for program in self._started:
            program.kill()
        os._exit(128 + number)


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
