"""Somebody who writes all the time, while servers die around them, and remembers what was acknowledged."""

import threading
import time
import uuid
from types import TracebackType
from typing import Final, Self

from ai_chat_client import ROLE_USER, AiChatError, Client, Message
from support.until import PATIENCE_SECONDS

PAUSE_SECONDS: Final = 0.02


class Writer:
    """Context manager: appends numbered messages to `session` from a thread, each again until it is acknowledged."""

    def __init__(self, server: str, session: str) -> None:
        self.acknowledged: list[str] = []
        self._session = session
        self._client = Client(server)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"writer of {session}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait_for_progress()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(2 * PATIENCE_SECONDS)
        self._client.close()
        if self._failure is not None and exc is None:
            raise self._failure

    def wait_for_progress(self) -> None:
        """Returns once messages are acknowledged that were not yet sent when this was called."""
        target = len(self.acknowledged) + 2
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.acknowledged) < target:
            if self._failure is not None:
                raise self._failure
            assert time.monotonic() < deadline, f"nothing was acknowledged for {PATIENCE_SECONDS:.0f} s"
            time.sleep(PAUSE_SECONDS)

    def _run(self) -> None:
        try:
            while not self._stop.wait(PAUSE_SECONDS):
                content = f"message {len(self.acknowledged) + 1}"
                self._append(content)
                self.acknowledged.append(content)
        except BaseException as failure:  # noqa: BLE001 - Raised again in the test's own thread.
            self._failure = failure

    def _append(self, content: str) -> None:
        request_id = uuid.uuid4().hex  # The same for every attempt: an attempt whose answer was lost counts once.
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                message = Message(role=ROLE_USER, content=content)
                self._client.append_messages(self._session, [message], request_id=request_id)
            except AiChatError as error:
                if error.reason not in {"UNREACHABLE", "TIMEOUT", "STORE_UNAVAILABLE", "DRAINING"}:
                    raise
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_SECONDS)
            else:
                return


def contents(server: str, session: str) -> list[str]:
    """What the session holds, oldest first."""
    with Client(server) as client:
        return [message.content for message in client.messages(session)]
