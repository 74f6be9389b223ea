"""Frames: events as the bytes that viewers get, encoded once for all of them."""

from collections.abc import Sequence
from typing import NamedTuple

from stream_gateway import sse
from stream_gateway.events import Event, Kind, compose, now_ms
from stream_gateway.position import ABSENT, Position
from stream_gateway.reply import Extension, LiveReply, quote


class Frame(NamedTuple):
    """One event as bytes.

    position   the head after it; None: not worth repeating to whoever resumes
    advances   whether it moved the head
    extension  of text that may be merged with its neighbours', and `head` then, the head after it
    """

    data: bytes
    position: Position | None = None
    advances: bool = False
    extension: Extension | None = None
    head: Position | None = None

    def continues(self, earlier: "Frame") -> bool:
        """Whether it is text of the same reply that follows the text of `earlier`."""
        here, there = self.extension, earlier.extension
        return here is not None and there is not None and here.reply_id == there.reply_id and here.first == there.next


def of_event(event: Event, head: Position) -> Frame:
    """The frame that passes an event on; `head`: after it."""
    match event.kind:
        case Kind.MESSAGE | Kind.NEW_LOG:
            return Frame(sse.encode(event.data, str(head)), head, advances=True)
        case Kind.DELETED:
            return Frame(sse.encode(event.data, str(ABSENT)), ABSENT, advances=True)
        case Kind.UPDATED:
            return Frame(sse.encode(event.data, str(head) if event.position == head else None), event.position)
        case Kind.REPLY_ENDED:
            return Frame(sse.encode(event.data), head)
        case _:
            return Frame(sse.encode(event.data))


def of_extension(data: bytes, extension: Extension, head: Position) -> Frame:
    """The frame that passes a piece of a reply on; `head`: where the log is meanwhile."""
    if isinstance(extension.piece, str):
        return Frame(sse.encode(data), extension=extension, head=head)
    return Frame(sse.encode(data))


def reset(head: Position) -> Frame:
    """Forget what you have; where the head is."""
    return Frame(sse.encode(compose("reset", "{}", now_ms(), head), str(head)), head, advances=True)


def deleted(last: Position) -> Frame:
    """The session that was at `last` is gone."""
    return Frame(sse.encode(compose("deleted", "{}", now_ms(), last), str(ABSENT)), ABSENT, advances=True)


def snapshot(reply: LiveReply, head: Position) -> Frame:
    """A reply in progress, whole: replaces what the viewer has of it."""
    return Frame(sse.encode(compose("snapshot", reply.to_json(), now_ms(), head)))


def ended(reply_id: str, head: Position) -> Frame:
    """A reply ended, and no message came of it."""
    return Frame(sse.encode(compose("complete", f'{{"replyId":{quote(reply_id)}}}', now_ms(), head)), head)


def merged(frames: Sequence[Frame]) -> bytes:
    """The bytes of frames of which each continues the one before: as one chunk, when there are several."""
    first, last = frames[0].extension, frames[-1].extension
    if len(frames) == 1 or first is None or last is None:
        return frames[0].data
    text = "".join(
        frame.extension.piece for frame in frames if frame.extension and isinstance(frame.extension.piece, str)
    )
    payload = f'{{"content":{quote(text)},"replyId":{quote(first.reply_id)},"from":{first.first},"to":{last.next}}}'
    return sse.encode(compose("chunk", payload, now_ms(), frames[-1].head))
