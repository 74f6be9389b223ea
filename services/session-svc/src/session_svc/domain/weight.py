"""How many bytes a value takes on the wire, about: enough to bound a page, a queue or a frame."""

from typing import Final

from session_svc.domain.message import Message
from session_svc.domain.session import Session

_FIELDS: Final = 128
"""What numbers, times, names of fields and framing add."""


def message_bytes(message: Message) -> int:
    """The bytes of a message."""
    texts = (
        message.id,
        message.content,
        message.author,
        message.model,
        message.status_reason,
        message.attributes,
    )
    return _FIELDS + sum(map(_utf8, texts))


def session_bytes(session: Session) -> int:
    """The bytes of a session, without its messages."""
    texts = (session.name, session.title, session.owner, session.preview, *session.labels, *session.labels.values())
    return _FIELDS + sum(map(_utf8, texts))


def _utf8(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
