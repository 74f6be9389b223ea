"""Between the domain and what lies in Redis: the JSON of a message, and the rows that scripts return."""

import json
from collections.abc import Sequence
from typing import Any, Final

from session_svc.domain.limits import MIB
from session_svc.domain.message import Message, NewMessage, Role, Status
from session_svc.domain.position import Position
from session_svc.domain.reply import Chunk, Part, ReplySnapshot, Text, joined
from session_svc.domain.session import Reply, Session, TitleSource
from session_svc.domain.weight import chunk_bytes
from session_svc.storage.redis.connection import Answer

SHOWN_BYTES: Final = 2 * MIB
"""More of a foreign element than this is not shown: no response could carry it."""

_ROLES: Final = {role.value: role for role in Role}
_STATUSES: Final = {status.value: status for status in Status if status is not Status.UNREADABLE}
_text = json.encoder.encode_basestring


def encode(message: NewMessage) -> tuple[str, str, str | int]:
    """The three arguments append.lua takes for a message: element, event, timestamp.

    Both texts lack `timestamp` and the closing brace: the script writes them, by the one clock. In the element,
    `attributes` are a string, so that nothing re-encodes them; in the event they are the object itself.
    """
    common = f'{{"role":"{message.role}","id":{_text(message.id)},"content":{_text(message.content)}'
    if message.author:
        common += f',"author":{_text(message.author)}'
    if message.model:
        common += f',"model":{_text(message.model)}'
    if message.status is not Status.COMPLETE:
        common += f',"status":"{message.status}"'
    if message.status_reason:
        common += f',"statusReason":{_text(message.status_reason)}'
    timestamp = "" if message.create_time is None else message.create_time
    if not message.attributes:
        return common, "", timestamp
    return (
        f'{common},"attributes":{_text(message.attributes)}',
        f'{common},"attributes":{message.attributes}',
        timestamp,
    )


def decode(element: str, epoch: str, sequence: int) -> Message:
    """The message in an element of the list. Whatever is none, or too long to be sent, is UNREADABLE."""
    own_id = f"{epoch}.{sequence}"
    try:
        stored: Any = json.loads(element)
    except (ValueError, RecursionError):
        stored = None
    if not isinstance(stored, dict):
        return _unreadable(own_id, sequence, element)
    role, content = stored.get("role"), stored.get("content")
    if not (isinstance(role, str) and role in _ROLES and isinstance(content, str)):
        return _unreadable(own_id, sequence, element)
    content = _sendable(content)
    if len(content.encode()) > SHOWN_BYTES:
        return _unreadable(own_id, sequence, content)
    timestamp = stored.get("timestamp")
    return Message(
        id=_string(stored, "id") or own_id,
        sequence=sequence,
        role=_ROLES[role],
        content=content,
        author=_string(stored, "author"),
        model=_string(stored, "model"),
        create_time=timestamp if isinstance(timestamp, int) and 0 <= timestamp < 253_402_300_800_000 else None,
        status=_STATUSES.get(_string(stored, "status"), Status.COMPLETE),
        status_reason=_string(stored, "statusReason"),
        attributes=_string(stored, "attributes"),
    )


def decode_all(elements: Sequence[str], epoch: str, first: int, step: int = 1) -> tuple[Message, ...]:
    """The messages in consecutive elements, of which the first has sequence `first`."""
    return tuple(decode(element, epoch, first + index * step) for index, element in enumerate(elements))


def session(row: Sequence[Answer]) -> Session:
    """The session in a row of lib/session.lua."""
    (
        name, epoch, length, created, active, title, title_source, owner, expires, ttl, labels, role, preview, awaiting,
        reply_id, reply_author, reply_model, reply_started
    ) = row  # fmt: skip
    return Session(
        name=name,
        position=Position(epoch, length),
        create_time=int(created),
        last_active_time=int(active),
        title=title,
        title_source=_title_source(title_source),
        owner=owner,
        expire_time=int(expires) if expires else None,
        ttl=int(ttl) if ttl else None,
        labels=_labels(labels),
        last_role=_ROLES.get(role),
        preview=preview,
        awaiting_reply=awaiting == "1",
        reply=Reply(reply_id, reply_author, reply_model, int(reply_started)) if reply_id else None,
    )


def encode_chunk(chunk: Chunk) -> tuple[str, int, int]:
    """The three arguments reply_write.lua takes for a chunk: its JSON, how many frames it holds, its bytes."""
    if isinstance(chunk, Text):
        return _text(chunk.text), chunk.frames, chunk_bytes(chunk)
    return f'{{"type":{_text(chunk.type)},"data":{chunk.data}}}', 1, chunk_bytes(chunk)


def reply_snapshot(reply: Reply, chunks: Sequence[str]) -> ReplySnapshot:
    """The reply in progress with its chunks; neighbouring texts are joined."""
    return ReplySnapshot(reply.id, reply.author, reply.model, joined(map(_chunk, chunks)), len(chunks))


def _chunk(element: str) -> Chunk:
    if element.startswith('"'):
        return Text(json.loads(element))
    opening, data = element.split(',"data":', 1)
    return Part(json.loads(opening + "}")["type"], data[:-1])


def _title_source(word: str) -> TitleSource:
    return TitleSource(word) if word in {"user", "auto"} else TitleSource.NONE


def _labels(text: str) -> dict[str, str]:
    """Labels; none where another program has spoilt them."""
    if not text:
        return {}
    try:
        labels = json.loads(text)
    except ValueError:
        return {}
    return {key: value for key, value in labels.items() if isinstance(value, str)} if isinstance(labels, dict) else {}


def _unreadable(own_id: str, sequence: int, text: str) -> Message:
    shown = _sendable(text)
    reason = "not a message of ai-chat or chat.ai"
    raw = shown.encode()
    if len(raw) > SHOWN_BYTES:
        shown = raw[:SHOWN_BYTES].decode(errors="ignore")
        reason = f"only the first {SHOWN_BYTES} of {len(raw)} bytes are shown"
    return Message(own_id, sequence, None, shown, status=Status.UNREADABLE, status_reason=reason)


def _string(stored: dict[str, Any], field: str) -> str:
    value = stored.get(field)
    return _sendable(value) if isinstance(value, str) else ""


def _sendable(text: str) -> str:
    """`text` without lone surrogates, which JSON may hold and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
