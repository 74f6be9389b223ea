"""What travels on a server's channels."""

import json
from typing import Any

import redis
from support.until import PATIENCE_SECONDS


class Channel:
    """What is published, in order, from the moment it is made."""

    def __init__(self, client: redis.Redis, pattern: str) -> None:
        self._subscription = client.pubsub()  # type: ignore[no-untyped-call]  # redis-py leaves it so.
        self._subscription.psubscribe(pattern)
        while (self._subscription.get_message(timeout=PATIENCE_SECONDS) or {}).get("type") != "psubscribe":
            pass
        self._client = client

    def events(self) -> list[dict[str, Any]]:
        """Everything published since the last call."""
        self._client.publish("ai-chat:end", "{}")
        seen: list[dict[str, Any]] = []
        while True:
            message = self._subscription.get_message(timeout=PATIENCE_SECONDS)
            assert message is not None, "the end mark did not arrive"
            if message["channel"] == "ai-chat:end":
                return seen
            seen.append({"channel": message["channel"], **json.loads(message["data"])})

    def close(self) -> None:
        self._subscription.close()
