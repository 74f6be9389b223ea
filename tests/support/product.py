"""The whole product as `make run` starts it, on free ports."""

import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil
from support.child import STOP_SECONDS, Child
from support.running import inherited
from support.until import PATIENCE_SECONDS

ROOT: Final = Path(__file__).parents[2]
INHERITED: Final = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ")


def environment(home: Path, **settings: str) -> dict[str, str]:
    """An environment without the developer's own settings, for the run and for the CLI: free ports, data in `home`.

    Nobody answers, unless `settings` say ASSISTANT=on: what a test writes is then all there is.
    """
    return {
        **inherited(INHERITED),
        "HOME": str(home),
        "SESSION_SVC_LISTEN": "127.0.0.1:0",
        "GATEWAY_LISTEN": "127.0.0.1:0",
        "DATA_DIR": str(home / "data"),
        "ASSISTANT": "off",
        **settings,
    }


class Product(Child):
    """Context manager: the program behind `make run`; entering waits until it says that all is ready."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__("run", [sys.executable, "-m", "aichat_dev.run"], settings, working_directory=ROOT)
        self._children: list[psutil.Process] = []

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

    def wait(self) -> None:
        """Waits for the announcement. From then on the ports stay the same."""
        self.until(lambda: "Ctrl-C stops all." in self.output, "it is not ready")
        self.environment["SESSION_SVC_LISTEN"] = self.server
        self.environment["GATEWAY_LISTEN"] = self.page.removeprefix("http://").rstrip("/")
        self.children()

    def children(self) -> dict[str, psutil.Process]:
        """The processes that it runs now, by name: redis, session-svc, stream-gateway, assistant."""
        found: dict[str, psutil.Process] = {}
        if self.process.poll() is not None:
            return found
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
        super().kill()
        assert self.left_behind() == []

    def left_behind(self, timeout: float = PATIENCE_SECONDS) -> list[psutil.Process]:
        """Those of all its processes that still run after `timeout` seconds."""
        left: list[psutil.Process] = psutil.wait_procs(self._children, timeout=timeout)[1]
        return left

    def _announced(self, what: str) -> str:
        found = re.search(rf"^  {what} +(.+)$", self.output, re.MULTILINE)
        assert found, f"no {what} in:\n{self.output}"
        return found[1]

    def remove(self) -> None:
        """See Running."""
        self.children()
        super().remove()
        for child in self._children:
            if child.is_running():
                child.kill()
