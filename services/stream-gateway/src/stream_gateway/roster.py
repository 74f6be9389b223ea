"""The list of sessions as it changes, for all who asked for it."""

import json

from stream_gateway import metrics, sse
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
            event = None
        if not isinstance(event, dict) or event.get("type") not in CHANGES:
            metrics.EVENTS_BAD.inc()
            return False
        change = {"change": event["type"], "session": event.get("payload")}
        self.ring.append(_frame(json.dumps(change, ensure_ascii=False)))
        return True

    def missed(self) -> None:
        """Says that something may have been missed: everybody lists again."""
        self.ring.append(Frame(self.reset()))

    @staticmethod
    def reset() -> bytes:
        """The frame that asks to list again."""
        return _frame('{"change":"reset","session":null}').data


def _frame(payload: str) -> Frame:
    return Frame(sse.encode(compose("session", payload, now_ms())))
