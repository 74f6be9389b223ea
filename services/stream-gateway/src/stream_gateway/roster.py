"""The list of sessions as it changes, for all who asked for it."""

import json

from stream_gateway import sse
from stream_gateway.events import compose, now_ms
from stream_gateway.ring import Frame, Ring

CHANGES = frozenset({"created", "updated", "deleted"})


class Roster:
    """Turns events of the list into `session` {change, session}. No position: whoever comes back lists again."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring

    def take(self, data: bytes) -> bool:
        """Takes an event of the list. False: it was none."""
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            return False
        if not isinstance(event, dict) or event.get("type") not in CHANGES:
            return False
        change = {"change": event["type"], "session": event.get("payload")}
        payload = json.dumps(change, separators=(",", ":"))
        self.ring.append(Frame(sse.encode(compose("session", payload, now_ms()))))
        return True
