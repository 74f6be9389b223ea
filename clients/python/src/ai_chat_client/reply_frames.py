"""What the writer of a reply sends: the frames, and the journal of those that a broken stream may have lost."""

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_pb2 import Message, Part

from ai_chat_client.calls import duration

TEXT_PIECE_CHARACTERS: Final = 16_384
"""A longer text goes out as several frames, so that none delays what a slow stream has to carry."""
PART_BYTES: Final = 64 * 1024

_WAITING_BYTES: Final = 64 * 1024
_DEFAULT_LEASE_SECONDS: Final = 15.0
_PART_TYPE: Final = re.compile(r"[a-z0-9.-]{1,64}")


def start(
    session: str,
    *,
    author: str = "",
    model: str = "",
    messages: Iterable[Message] = (),
    expected_position: str | None = None,
    lease: timedelta | None = None,
    reply_id: str = "",
) -> api.ReplyStart:
    """The first frame of every stream of one reply; it makes up the ids without which no stream can be resumed."""
    return api.ReplyStart(
        session=session,
        reply_id=reply_id or uuid.uuid4().hex,
        writer_key=uuid.uuid4().hex,
        author=author,
        model=model,
        messages=messages,
        expected_position=expected_position,
        lease=duration(lease),
    )


def go_on(start: api.ReplyStart, started: api.ReplyStarted) -> None:
    """Makes `start` the first frame of later streams: it takes up what began, and never begins anything anew."""
    start.ClearField("messages")
    start.expected_position = started.position


def renew_after(start: api.ReplyStart) -> float:
    """After so many seconds without a frame the lease is renewed."""
    return (start.lease.ToTimedelta().total_seconds() or _DEFAULT_LEASE_SECONDS) / 3


def pieces(text: str) -> Iterator[str]:
    """A text as it is sent: a long one in several frames."""
    for at in range(0, len(text), TEXT_PIECE_CHARACTERS):
        yield text[at : at + TEXT_PIECE_CHARACTERS]


def broke_off(exc: BaseException) -> api.StreamReplyRequest:
    """The last frame of a reply whose writer failed; it does not say why: that may hold secrets."""
    return fail(f"the writer failed ({type(exc).__name__})", "")


def finish(attributes: str, messages: Iterable[Message]) -> api.StreamReplyRequest:
    """The last frame of a reply that is complete."""
    return api.StreamReplyRequest(finish=api.ReplyFinish(attributes=attributes, messages=messages))


def fail(reason: str, attributes: str) -> api.StreamReplyRequest:
    """The last frame of a reply that failed."""
    return api.StreamReplyRequest(fail=api.ReplyFail(reason=reason, attributes=attributes))


def renew() -> api.StreamReplyRequest:
    """Keeps the lease."""
    return api.StreamReplyRequest(renew=api.ReplyRenew())


def part(type: str, data: Mapping[str, object] | str) -> Part:  # noqa: A002 - The field's name.
    """A typed part; ValueError that says what is wrong with it: the service would end the stream over it."""
    if not _PART_TYPE.fullmatch(type):
        raise ValueError(f"{type!r} is no type of a part: 1 to 64 of a-z, 0-9, '.' and '-'")
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    if isinstance(data, str) and not isinstance(json.loads(data), dict):
        raise ValueError("the data of a part is a JSON object")  # noqa: TRY004 - Its value is wrong, its type is str.
    if len(text.encode()) > PART_BYTES:
        raise ValueError(f"the data of a part is at most {PART_BYTES} bytes of JSON, this is {len(text.encode())}")
    return Part(type=type, data=text)


@dataclass(slots=True)
class Journal:
    """Every delta and part of one reply, because the service says only at each start how many it has stored.

    Bounded by the service, which ends a reply that exceeds 2 MiB, and by `waiting`, which a writer heeds.
    """

    frames: list[str | Part] = field(default_factory=list)
    accepted: int = 0
    """How many were stored when the current stream began."""
    sent: int = 0
    """How many have gone out on the current stream, or were stored before it."""
    waiting: int = 0
    """The size, about in bytes, of those that have not."""

    @property
    def is_full(self) -> bool:
        """Whether a writer should wait before it says more."""
        return self.waiting > _WAITING_BYTES

    def add(self, frame: str | Part) -> None:
        """Takes one frame to be sent."""
        self.frames.append(frame)
        self.waiting += _size(frame)

    def next(self) -> api.StreamReplyRequest | None:
        """The frame to send now; None when all have gone out. It counts as sent once `advance` is called."""
        if self.sent == len(self.frames):
            return None
        frame = self.frames[self.sent]
        if isinstance(frame, str):
            return api.StreamReplyRequest(delta=api.ReplyDelta(text=frame))
        return api.StreamReplyRequest(part=frame)

    def advance(self) -> None:
        """The frame that `next` gave has gone out."""
        self.waiting -= _size(self.frames[self.sent])
        self.sent += 1

    def go_on_after(self, accepted: int) -> None:
        """A new stream begins, and so many frames are stored: what comes after them is sent again."""
        self.accepted = self.sent = accepted
        self.waiting = sum(map(_size, self.frames[self.sent :]))


def _size(frame: str | Part) -> int:
    return len(frame) if isinstance(frame, str) else len(frame.data)
