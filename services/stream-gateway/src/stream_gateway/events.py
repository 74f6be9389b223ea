"""The events of contract section 4, as they arrive from a source: parsed once, never trusted."""

import json
import time
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from stream_gateway.position import Position

MAX_FOREIGN_BYTES: Final = 1024 * 1024


class Kind(Enum):
    """What an event does to the session's log."""

    MESSAGE = auto()
    """One message is there: `user`, `message`, or `complete` with a message."""
    NEW_LOG = auto()
    """The log is another one: `clear`, `truncate`, `reset`."""
    UPDATED = auto()
    """Title, ttl or labels changed; the log did not."""
    DELETED = auto()
    """The session is gone."""
    REPLY = auto()
    """Something happened to the reply in progress; the log did not change."""
    FOREIGN = auto()
    """chat.ai's own, to be passed on as it is."""
    FOREIGN_CHANGE = auto()
    """chat.ai's own, which says that the log will change: not passed on."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a session.

    position  the head after it; for a message, its own place. None: not ours.
    data      the JSON object as it came, UTF-8
    keep      of `truncate`: how many messages are left
    fingerprint  of `updated`: see `fingerprint`
    """

    kind: Kind
    type: str
    position: Position | None
    data: bytes
    keep: int | None = None
    fingerprint: str | None = None


_KINDS: Final = {
    "user": Kind.MESSAGE,
    "message": Kind.MESSAGE,
    "complete": Kind.MESSAGE,
    "clear": Kind.NEW_LOG,
    "truncate": Kind.NEW_LOG,
    "reset": Kind.NEW_LOG,
    "updated": Kind.UPDATED,
    "deleted": Kind.DELETED,
}
_FOREIGN_CHANGES: Final = frozenset({"user", "complete", "clear"})


def parse(data: bytes) -> Event | None:
    """Reads an event from its JSON; None when it is none, or a foreign one of unreasonable size."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        return None
    kind_text = body["type"]
    if body.get("position") is None:
        if len(data) > MAX_FOREIGN_BYTES:
            return None
        return Event(Kind.FOREIGN_CHANGE if kind_text in _FOREIGN_CHANGES else Kind.FOREIGN, kind_text, None, data)
    position = Position.parse(body["position"]) if isinstance(body["position"], str) else None
    if position is None or position.is_absent:
        return None
    return _ours(kind_text, position, body.get("payload"), data)


def _ours(kind_text: str, position: Position, payload: object, data: bytes) -> Event | None:
    fields = payload if isinstance(payload, dict) else {}
    kind = _KINDS.get(kind_text, Kind.REPLY)
    keep = None
    if kind is Kind.MESSAGE:
        sequence = fields.get("sequence")
        if isinstance(sequence, int) and sequence > 0:
            position = position.at(sequence)
        elif kind_text == "complete":
            kind = Kind.REPLY
        else:
            return None
    elif kind_text == "truncate":
        keep = fields.get("keep")
        if not isinstance(keep, int):
            return None
    shown = None
    if kind is Kind.UPDATED:
        shown = fingerprint(fields.get("title"), fields.get("titleSource"), fields.get("labels"))
    return Event(kind, kind_text, position, data, keep, shown)


def compose(type_: str, payload: str, timestamp: int, position: Position | None = None) -> bytes:
    """The JSON of an event that the gateway itself has to tell. `payload`: JSON; `timestamp`: ms."""
    where = f',"position":"{position}"' if position else ""
    return f'{{"type":"{type_}","payload":{payload},"timestamp":{timestamp}{where}}}'.encode()


def now_ms() -> int:
    """The timestamp of an event that the gateway itself has to tell."""
    return time.time_ns() // 1_000_000


def fingerprint(title: object = "", title_source: object = "", labels: object = None) -> str:
    """What of a session's description is changed on purpose, to tell whether such a change was missed.

    An automatic title is none of it: it comes with a message.
    """
    return json.dumps([title if title_source == "user" else "", labels or {}], sort_keys=True)
