"""Events as they are written on the channels (contract section 4), read into the domain's words.

Writing is the business of the store's scripts, which publish in the step that changes something.
"""

import json
import re
from enum import StrEnum
from typing import Any, Final, TypeVar

from session_svc.domain.events import (
    Cleared,
    Deleted,
    Foreign,
    ListEvent,
    MessageAppended,
    MessagesTruncated,
    ReplyEnded,
    ReplyEvent,
    ReplyExtended,
    ReplyStarted,
    Reset,
    SessionChanged,
    SessionCreated,
    SessionEvent,
    SessionRemoved,
    Updated,
)
from session_svc.domain.message import Message, Role, Status
from session_svc.domain.position import Position
from session_svc.domain.reply import Chunk, Part, Text
from session_svc.domain.session import Reply, Session, TitleSource

_BLANK: Final = re.compile(r"[ \t\r\n]*")
_decoder: Final = json.JSONDecoder()

_Word = TypeVar("_Word", bound=StrEnum)

Object = dict[str, Any]
"""A JSON object, its values not looked at yet."""


class NotAnEvent(ValueError):
    """What was published is no event of anybody's; the text says why and quotes nothing."""


def session_event(raw: bytes) -> SessionEvent | None:
    """Reads what was published on a session's channel; None: of a type that this version does not know.

    Raises NotAnEvent.
    """
    text, event = _envelope(raw)
    kind = _text(event, "type")
    if "position" not in event:
        return Foreign(kind)
    position = _position(event)
    match kind:
        case "user" | "message":
            return MessageAppended(position, _message(_object(event, "payload"), text))
        case "start" | "chunk" | "part" | "complete":
            return _reply_event(kind, position, event, text)
        case "clear":
            return Cleared(position)
        case "truncate":
            return MessagesTruncated(position, _integer(_object(event, "payload"), "keep"))
        case "reset":
            return Reset(position)
        case "updated":
            return Updated(position, _session(_object(event, "payload"), position))
        case "deleted":
            return Deleted(position)
        case _:
            return None


def list_event(raw: bytes) -> ListEvent | None:
    """Reads what was published on the channel of the list; None: not of ours, or of an unknown type.

    Raises NotAnEvent.
    """
    _, event = _envelope(raw)
    kind = _text(event, "type")
    if "position" not in event:
        return None
    position = _position(event)
    match kind:
        case "created":
            return SessionCreated(_session(_object(event, "payload"), position))
        case "updated":
            return SessionChanged(_session(_object(event, "payload"), position))
        case "deleted":
            return SessionRemoved(_text(_object(event, "payload"), "name"))
        case _:
            return None


def source_of(text: str, *path: str) -> str:
    """The value at `path` within the JSON object `text`, as it is written there.

    `text` is JSON that a parser has accepted, with an object at every step of the path and each name present.
    """
    start, end = _skip(text, 0), len(text)
    for name in path:
        start, end = _member(text, start, name)
    return text[start:end]


def _member(text: str, at: int, wanted: str) -> tuple[int, int]:
    """Where the value of `wanted` begins and ends in the object that begins at `at`; the last one counts."""
    found = (at, at)
    at = _skip(text, at + 1)
    while text[at] != "}":
        name, at = _decoder.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, end = _decoder.raw_decode(text, start)
        if name == wanted:
            found = (start, end)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _envelope(raw: bytes) -> tuple[str, Object]:
    text = raw.decode("utf-8", "replace")
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise NotAnEvent("not JSON") from None
    if not isinstance(event, dict):
        raise NotAnEvent("not a JSON object")
    return text, event


def _reply_event(kind: str, position: Position, event: Object, text: str) -> ReplyEvent:
    payload = _object(event, "payload")
    reply_id = _text(payload, "replyId")
    if kind == "start":
        began = _integer(event, "timestamp")
        return ReplyStarted(position, reply_id, _text(payload, "author"), _text(payload, "model"), began)
    if kind == "complete":
        return ReplyEnded(position, reply_id, _message(payload, text) if "id" in payload else None)
    chunk: Chunk
    if kind == "part":
        chunk = Part(_text(payload, "type"), source_of(text, "payload", "data"))
    else:
        chunk = Text(_text(payload, "content"))
    return ReplyExtended(position, reply_id, chunk, _integer(payload, "from"), _integer(payload, "to"))


def _message(payload: Object, text: str) -> Message:
    status = _word(Status, payload, "status", default=Status.COMPLETE)
    role = None if status is Status.UNREADABLE else _word(Role, payload, "role")
    has_attributes = isinstance(payload.get("attributes"), dict)
    return Message(
        id=_text(payload, "id"),
        sequence=_integer(payload, "sequence"),
        role=role,
        content=_text(payload, "content"),
        author=_text(payload, "author"),
        model=_text(payload, "model"),
        create_time=_optional_integer(payload, "timestamp"),
        status=status,
        status_reason=_text(payload, "statusReason"),
        attributes=source_of(text, "payload", "attributes") if has_attributes else "",
    )


def _session(payload: Object, position: Position) -> Session:
    labels = _object(payload, "labels") if "labels" in payload else {}
    return Session(
        name=_text(payload, "name"),
        position=position,
        create_time=_integer(payload, "createdAt"),
        last_active_time=_integer(payload, "lastMessage"),
        title=_text(payload, "title"),
        title_source=_word(TitleSource, payload, "titleSource"),
        owner=_text(payload, "owner"),
        expire_time=_optional_integer(payload, "expiresAt"),
        ttl=_optional_integer(payload, "ttl"),
        labels={name: _text(labels, name) for name in labels},
        last_role=_word(Role, payload, "lastRole") if "lastRole" in payload else None,
        preview=_text(payload, "preview"),
        awaiting_reply=payload.get("awaitingReply") is True,
        reply=_reply(_object(payload, "reply")) if "reply" in payload else None,
    )


def _reply(reply: Object) -> Reply:
    return Reply(_text(reply, "id"), _text(reply, "author"), _text(reply, "model"), _integer(reply, "startedAt"))


def _position(event: Object) -> Position:
    position = Position.parse(_text(event, "position"))
    if position is None:
        raise NotAnEvent("position is none")
    return position


def _object(parent: Object, name: str) -> Object:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise NotAnEvent(f"{name} is not an object")
    return value


def _text(parent: Object, name: str) -> str:
    value = parent.get(name, "")
    if not isinstance(value, str):
        raise NotAnEvent(f"{name} is not text")
    if value.isascii():
        return value
    # JavaScript writes half a surrogate pair as an escape; nothing that follows here can carry one.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _integer(parent: Object, name: str) -> int:
    value = _optional_integer(parent, name)
    if value is None:
        raise NotAnEvent(f"{name} is missing")
    return value


def _optional_integer(parent: Object, name: str) -> int | None:
    value = parent.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise NotAnEvent(f"{name} is not a whole number")


def _word(words: type[_Word], parent: Object, name: str, default: str = "") -> _Word:
    try:
        return words(_text(parent, name) or default)
    except ValueError:
        raise NotAnEvent(f"{name} is none of the known") from None
