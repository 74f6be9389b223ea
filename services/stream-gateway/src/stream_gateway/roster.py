"""The list of sessions as it changes, for all who asked for it."""

import json

from stream_gateway import sse
from stream_gateway.budget import Budget
from stream_gateway.events import compose, now_ms
from stream_gateway.frames import Frame
from stream_gateway.notices import status
from stream_gateway.ring import Ring

CHANGES = frozenset({"created", "updated", "deleted"})


class Roster:
    """Turns events of the list into `session` {change, session}. No position: whoever comes back lists again.

    One that is too slow for that gets `status` in place of what it missed: it lists again, as after any loss.
    """

    def __init__(self, budget: Budget) -> None:
        self.ring = Ring(budget, lambda: status("live"))

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
