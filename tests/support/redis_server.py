"""A real Redis-compatible server for one test or one module, in a directory of its own."""

import shutil
import signal
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from aichat_dev.embedded_redis import EmbeddedRedis


class RedisServer:
    """Context manager: a durable server on 127.0.0.1, gone with its data at the end.

    `options` are redis.conf settings (underscores for dashes) that differ from the durable ones, for example
    `RedisServer(appendonly="no")`. When the body fails, the end of the server's log is a note on the exception.
    """

    def __init__(self, **options: str) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="aichat-redis-"))
        self._server = EmbeddedRedis(
            self.dir, options={name.replace("_", "-"): value for name, value in options.items()}
        )

    @property
    def url(self) -> str:
        """Where clients connect; the same after every start."""
        return self._server.url

    @property
    def port(self) -> int:
        """The TCP port; the same after every start."""
        return self._server.port

    @property
    def pid(self) -> int:
        """The process id of the server that runs now."""
        return self._server.process.pid

    @property
    def log(self) -> str:
        """What the server has printed so far."""
        return self._server.log

    def __enter__(self) -> Self:
        try:
            self._server.__enter__()
        except BaseException:
            shutil.rmtree(self.dir, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is not None:
            exc.add_note(f"--- Redis on port {self.port}:\n{self.log[-2000:]}")
        try:
            self._server.kill()  # The directory goes too, so there is nothing to save.
        finally:
            self._server.__exit__(exc_type, exc, traceback)
            shutil.rmtree(self.dir, ignore_errors=True)

    def start(self) -> None:
        """Starts it again, after `kill` or `stop`, on the same port and data; returns when it answers."""
        self._server.start()

    def stop(self) -> None:
        """Ends it in order (SIGTERM)."""
        self._server.stop()

    def kill(self) -> None:
        """Ends it as a power cut would (SIGKILL)."""
        self._server.kill()

    def forget(self) -> None:
        """Removes the data of a server that is not running: the next start begins with an empty memory."""
        shutil.rmtree(self.dir / "appendonlydir", ignore_errors=True)
        (self.dir / "dump.rdb").unlink(missing_ok=True)

    def freeze(self) -> None:
        """Stops the process without closing a connection (SIGSTOP): reachable, but silent."""
        self._server.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on after `freeze`."""
        self._server.process.send_signal(signal.SIGCONT)
