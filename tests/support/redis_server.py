"""A real Redis-compatible server for one test or one module, in a directory of its own."""

import shutil
import signal
import tempfile
from pathlib import Path
from typing import Final

from aichat_dev.embedded_redis import EmbeddedRedis, EmbeddedRedisError
from support.running import Running

LAST_CHARACTERS: Final = 2000


class RedisServer(Running):
    """Context manager: a durable server on 127.0.0.1, gone with its data at the end.

    `options` are redis.conf settings (underscores for dashes) that differ from the durable ones, for example
    `RedisServer(appendonly="no")`. When the body fails, the end of the server's log is a note on the exception.
    """

    name = "Redis"

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

    @property
    def last_words(self) -> str:
        """See Running."""
        return self.log[-LAST_CHARACTERS:]

    def start(self) -> None:
        """Starts it, again after `kill` or `stop`, on the same port and data; returns when it answers."""
        self._server.start()

    def remove(self) -> None:
        """See Running."""
        try:
            self._server.kill()  # The directory goes too, so there is nothing to save.
        except EmbeddedRedisError:
            pass  # It was never there.
        finally:
            self._server.close()
            shutil.rmtree(self.dir, ignore_errors=True)

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
