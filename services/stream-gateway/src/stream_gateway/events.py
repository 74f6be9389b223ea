"""The events of contract section 4, as they arrive from a source: parsed once, never trusted."""

import json
import re
import time
from enum import StrEnum, auto
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ai_chat_client import rawjson

from stream_gateway.position import Position
from stream_gateway.reply import Beginning, Extension, Part, Piece, Told

MAX_FOREIGN_BYTES: Final = 1024 * 1024


class Kind(StrEnum):
    """What an event does to the session."""

    MESSAGE = auto()
    """One message is there: `user`, `message`, or `complete` with a message."""
    NEW_LOG = auto()
    """The log is another one: `clear`, `truncate`, `reset`."""
    UPDATED = auto()
    """Title, ttl or labels changed; the log did not."""
    DELETED = auto()
    """The session is gone."""
    REPLY_BEGUN = auto()
    """A reply begins: `start`."""
    REPLY_EXTENDED = auto()
    """The next chunk of the reply: `chunk`, `part`."""
    REPLY_TOLD = auto()
    """The reply in progress, whole: `snapshot`."""
    REPLY_ENDED = auto()
    """The reply ended and no message came of it: `complete` without a message."""
    REMARK = auto()
    """Something else of ours; the log did not change."""
    FOREIGN = auto()
    """chat.ai's own, to be passed on as it is."""
    FOREIGN_CHANGE = auto()
    """chat.ai's own, which says that the log will change: not passed on."""


REPLY_KINDS: Final = frozenset({Kind.REPLY_BEGUN, Kind.REPLY_EXTENDED, Kind.REPLY_TOLD, Kind.REPLY_ENDED})


class Event(NamedTuple):
    """One event of a session.

    position  the head after it; for a message, its own place. None: not ours.
    data      the JSON object as it came, UTF-8
    keep      of `truncate`: how many messages are left
    fingerprint  of `updated`: see `fingerprint`
    reply_id  of a message: the reply that it may have become; of what happens to a reply: which
    """

    kind: Kind
    type: str
    position: Position | None
    data: bytes
    keep: int | None = None
    fingerprint: str | None = None
    reply_id: str = ""
    beginning: Beginning | None = None
    extension: Extension | None = None
    told: Told | None = None


_KINDS: Final = {
    "user": Kind.MESSAGE,
    "message": Kind.MESSAGE,
    "complete": Kind.MESSAGE,
    "clear": Kind.NEW_LOG,
    "truncate": Kind.NEW_LOG,
    "reset": Kind.NEW_LOG,
    "updated": Kind.UPDATED,
    "deleted": Kind.DELETED,
    "start": Kind.REPLY_BEGUN,
    "chunk": Kind.REPLY_EXTENDED,
    "part": Kind.REPLY_EXTENDED,
    "snapshot": Kind.REPLY_TOLD,
}
_FOREIGN_CHANGES: Final = frozenset({"user", "complete", "clear"})


_CHUNK: Final = b'{"type":"chunk","payload":{"content":'
_AFTER_CONTENT: Final = re.compile(
    r',"replyId":"([A-Za-z0-9._:-]+)","from":(0|[1-9][0-9]{0,8}),"to":([1-9][0-9]{0,8})\}'
    r',"timestamp":[1-9][0-9]{0,15},"position":"([0-9a-z]{5,24}\.[0-9]{1,16})"\}'
)
_value: Final = json.JSONDecoder().raw_decode
_position: Final = lru_cache(maxsize=4096)(Position.parse)  # All chunks of a reply have the same.


def parse(data: bytes) -> Event | None:
    """Reads an event from its JSON; None when it is none, or a foreign one of unreasonable size."""
    return parse_chunk(data) or parse_any(data)


def parse_chunk(data: bytes) -> Event | None:
    """What `parse_any` says of a `chunk` spelled as session-svc spells it, for a quarter of the price; else None."""
    if not data.startswith(_CHUNK):
        return None
    try:
        text = data.decode()
        content, end = _value(text, len(_CHUNK))
    except (ValueError, RecursionError):
        return None
    rest = _AFTER_CONTENT.fullmatch(text, end)
    if rest is None or not isinstance(content, str):
        return None
    reply_id, first, after, where = rest.groups()
    extension = Extension(reply_id, int(first), int(after), content)
    position = _position(where)
    if position is None or extension.first >= extension.next:
        return None
    return Event(Kind.REPLY_EXTENDED, "chunk", position, data, reply_id=reply_id, extension=extension)


def parse_any(data: bytes) -> Event | None:
    """Reads an event however it is spelled."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        return None
    type_ = body["type"]
    if body.get("position") is None:
        if len(data) > MAX_FOREIGN_BYTES:
            return None
        return Event(Kind.FOREIGN_CHANGE if type_ in _FOREIGN_CHANGES else Kind.FOREIGN, type_, None, data)
    position = Position.parse(body["position"]) if isinstance(body["position"], str) else None
    if position is None or position.is_absent:
        return None
    payload = body.get("payload")
    try:
        return _ours(type_, position, payload if isinstance(payload, dict) else {}, data)
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _ours(type_: str, position: Position, fields: dict[str, Any], data: bytes) -> Event:
    """An event with a position; raises KeyError, TypeError or ValueError when it lacks what it must have."""
    kind = _KINDS.get(type_, Kind.REMARK)
    match kind:
        case Kind.MESSAGE:
            return _message(type_, position, fields, data)
        case Kind.NEW_LOG:
            keep = _number(fields["keep"]) if type_ == "truncate" else None
            return Event(kind, type_, position, data, keep=keep)
        case Kind.UPDATED:
            shown = fingerprint(fields.get("title"), fields.get("titleSource"), fields.get("labels"))
            return Event(kind, type_, position, data, fingerprint=shown)
        case Kind.REPLY_BEGUN:
            beginning = _beginning(fields)
            return Event(kind, type_, position, data, reply_id=beginning.reply_id, beginning=beginning)
        case Kind.REPLY_EXTENDED:
            extension = _extension(type_, fields, data)
            return Event(kind, type_, position, data, reply_id=extension.reply_id, extension=extension)
        case Kind.REPLY_TOLD:
            pieces = tuple(_piece(raw) for raw in rawjson.items(_payload(data)["chunks"]))
            told = Told(_beginning(fields), pieces, _number(fields["next"]))
            return Event(kind, type_, position, data, reply_id=told.beginning.reply_id, told=told)
        case _:
            return Event(kind, type_, position, data)


def _message(type_: str, position: Position, fields: dict[str, Any], data: bytes) -> Event:
    sequence = fields.get("sequence")
    if type_ == "complete":
        reply_id = _text(fields["replyId"])
        if sequence is None:
            return Event(Kind.REPLY_ENDED, type_, position, data, reply_id=reply_id)
    else:
        reply_id = _text(fields.get("id", ""))
    if _number(sequence) < 1:
        raise ValueError("messages are counted from 1")
    return Event(Kind.MESSAGE, type_, position.at(_number(sequence)), data, reply_id=reply_id)


def _beginning(fields: dict[str, Any]) -> Beginning:
    return Beginning(_text(fields["replyId"]), _text(fields.get("author", "")), _text(fields.get("model", "")))


def _extension(type_: str, fields: dict[str, Any], data: bytes) -> Extension:
    first, after = _number(fields["from"]), _number(fields["to"])
    if not 0 <= first < after:
        raise ValueError("no chunk is empty")
    piece: Piece = _text(fields["content"]) if type_ == "chunk" else _part(_payload(data))
    return Extension(_text(fields["replyId"]), first, after, piece)


def _piece(raw: str) -> Piece:
    return _text(json.loads(raw)) if raw.startswith('"') else _part(rawjson.members(raw))


def _part(members: dict[str, str]) -> Part:
    """A part as it was written: its numbers are not ours to round."""
    return Part(f'{{"type":{members["type"]},"data":{members["data"]}}}')


def _payload(data: bytes) -> dict[str, str]:
    return rawjson.members(rawjson.members(data.decode())["payload"])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("no number")
    return value


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
