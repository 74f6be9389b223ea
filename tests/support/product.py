"""The whole product as `make run` starts it, on free ports."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

ROOT: Final = Path(__file__).parents[2]
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
INHERITED: Final = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ")


def environment(home: Path, **settings: str) -> dict[str, str]:
    """An environment without the developer's own settings, for the run and for the CLI: free ports, data in `home`.

    Nobody answers, unless `settings` say ASSISTANT=on: what a test writes is then all there is.
    """
    return {
        **{name: os.environ[name] for name in INHERITED if name in os.environ},
        "HOME": str(home),
        "SESSION_SVC_LISTEN": "127.0.0.1:0",
        "GATEWAY_LISTEN": "127.0.0.1:0",
        "DATA_DIR": str(home / "data"),
        "ASSISTANT": "off",
        **settings,
    }


class Product:
    """Context manager: the program behind `make run`; entering waits until it says that all is ready."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.settings = dict(settings)
        self._directory = tempfile.TemporaryDirectory(prefix="aichat-run-")
        self._log = Path(self._directory.name) / "log"
        self._log_start = 0
        self._children: list[psutil.Process] = []

    @property
    def output(self) -> str:
        """What the last start has printed."""
        return self._log.read_bytes()[self._log_start :].decode("utf-8", "replace")

    @property
    def page(self) -> str:
        """The page's address, as announced."""
        return self._announced("page")

    @property
    def chat(self) -> str:
        """The command that starts a chat, as announced."""
        return self._announced("chat")

    @property
    def assistant(self) -> str:
        """Who answers, as announced."""
        return self._announced("assistant")

    @property
    def server(self) -> str:
        """host:port of session-svc, as the announced command says."""
        found = re.search(r"--server (\S+)", self.chat)
        return found[1] if found else "localhost:50051"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is not None:
            exc.add_note(f"--- make run:\n{self.output[-6000:]}")
        self._clean_up()

    def spawn(self) -> None:
        """Starts it and returns at once."""
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "aichat_dev.run"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.settings,
                cwd=ROOT,
            )

    def start(self) -> None:
        """Starts it, again after its end on the same ports and data, and waits for the announcement."""
        self.spawn()
        deadline = time.monotonic() + START_SECONDS
        while "Ctrl-C stops all." not in self.output:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"make run did not get ready (status {self.process.returncode}):\n{self.output}")
            time.sleep(0.05)
        self.settings["SESSION_SVC_LISTEN"] = self.server
        self.settings["GATEWAY_LISTEN"] = self.page.removeprefix("http://").rstrip("/")
        self.children()

    def children(self) -> dict[str, psutil.Process]:
        """The processes that it runs now, by name: redis, session-svc, stream-gateway, assistant."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                command = " ".join(child.cmdline())
            except (psutil.ZombieProcess, psutil.NoSuchProcess):
                continue
            for name, mark in (
                ("redis", "-server"),
                ("session-svc", "session_svc"),
                ("stream-gateway", "stream_gateway"),
                ("assistant", "ai_chat_assistant"),
            ):
                if mark in command and not command.endswith("health"):
                    found[name] = child
        self._children += found.values()
        return found

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Sends the signal, waits for the end, and returns the exit status."""
        self.children()
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """Ends it as a crash would: with its children, where the system does that (Linux)."""
        self.children()
        self.process.kill()
        self.process.wait()
        assert self.left_behind() == []

    def left_behind(self, timeout: float = 10.0) -> list[psutil.Process]:
        """Those of all its processes that still run after `timeout` seconds."""
        left: list[psutil.Process] = psutil.wait_procs(self._children, timeout=timeout)[1]
        return left

    def _announced(self, what: str) -> str:
        found = re.search(rf"^  {what} +(.+)$", self.output, re.MULTILINE)
        assert found, f"no {what} in:\n{self.output}"
        return found[1]

    def _clean_up(self) -> None:
        if self.process.poll() is None:
            self.children()
            self.process.kill()
            self.process.wait()
        for child in self._children:
            if child.is_running():
                child.kill()
        self._directory.cleanup()
