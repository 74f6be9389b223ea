"""What fits into one response, so that a client with gRPC's defaults can read everything."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from session_svc.domain import weight
from session_svc.domain.limits import KIB, RESPONSE_BYTES
from session_svc.domain.message import Message, Status
from session_svc.domain.reply import ReplySnapshot
from session_svc.domain.session import Session

LISTED_BYTES: Final = RESPONSE_BYTES - 256 * KIB
"""For what a response lists; the rest is room for its other fields, a session with every label included."""

_LABEL_FIELDS: Final = 16
_SESSION_FIELDS: Final = 256
_REPLY: Final = 3 * KIB


def session_bytes(session: Session) -> int:
    """At most so many bytes on the wire."""
    reply = _REPLY if session.reply else 0
    return weight.session_bytes(session) + _LABEL_FIELDS * len(session.labels) + _SESSION_FIELDS + reply


def batches(messages: Iterable[Message]) -> Iterator[tuple[Message, ...]]:
    """`messages` in order, in groups of which each fits into one response."""
    group: list[Message] = []
    total = 0
    for message in messages:
        size = weight.message_bytes(message)
        if total + size > LISTED_BYTES and group:
            yield tuple(group)
            group, total = [], 0
        group.append(message if size <= LISTED_BYTES else _beginning(message, size))
        total += size
    if group:
        yield tuple(group)


def newest(messages: Sequence[Message], taken: int = 0) -> tuple[Message, ...]:
    """The last of `messages` that fit into one response of which so many bytes are `taken`, in the order given."""
    last = next(batches(reversed(messages)), ())
    total, fitting = taken, 0
    for message in last:
        total += weight.message_bytes(message)
        if taken and total > LISTED_BYTES:
            break
        fitting += 1
    return last[:fitting][::-1]


def sendable(message: Message) -> Message:
    """`message` as a response of its own can hold it."""
    size = weight.message_bytes(message)
    return message if size <= LISTED_BYTES else _beginning(message, size)


def snapshot_bytes(reply: ReplySnapshot) -> int:
    """At most so many bytes on the wire."""
    return _REPLY + sum(weight.sent_chunk_bytes(chunk) for chunk in reply.chunks)


def _beginning(message: Message, size: int) -> Message:
    """A message that no response can hold, cut: other programs may store longer ones than we accept."""
    return replace(
        message,
        content=message.content.encode()[: LISTED_BYTES // 2].decode(errors="ignore"),
        author=message.author[:KIB],
        model=message.model[:KIB],
        attributes="",
        status=Status.UNREADABLE,
        status_reason=f"{size} bytes are more than a response may hold; this is the beginning",
    )
