"""How many bytes a value takes on the wire, about: enough to bound a page, a queue or a frame."""

from typing import Final

from session_svc.domain.message import Message
from session_svc.domain.reply import Chunk, Text
from session_svc.domain.session import Session

_FIELDS: Final = 128
"""What numbers, times, names of fields and framing add."""

_SMALL_PART: Final = 4096
_PART_FRAMING: Final = 24
"""What `{"type":"","data":},` adds to a part; on the wire it is less."""


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


def chunk_bytes(chunk: Chunk) -> int:
    """What a chunk takes of a reply's size: its text or data; for a small part, its type and framing too.

    Else a reply of small parts would be many times as large, once stored or sent, as its limit says.
    """
    if isinstance(chunk, Text):
        return _utf8(chunk.text)
    size = _utf8(chunk.data)
    return size if size >= _SMALL_PART else size + len(chunk.type) + _PART_FRAMING


def sent_chunk_bytes(chunk: Chunk) -> int:
    """At most so many bytes on the wire."""
    if isinstance(chunk, Text):
        return _utf8(chunk.text) + _PART_FRAMING
    return _utf8(chunk.data) + len(chunk.type) + _PART_FRAMING


def _utf8(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
