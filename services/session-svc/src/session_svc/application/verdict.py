"""What an event is to somebody who has seen the session up to some point.

Events come in the order of publishing and may be missing, and those that were published before the store was read are
part of what was read.
"""

from dataclasses import dataclass
from enum import Enum, auto

from session_svc.domain.events import (
    Cleared,
    Deleted,
    Foreign,
    MessageAppended,
    MessagesTruncated,
    ReplyEnded,
    ReplyEvent,
    ReplyExtended,
    ReplyStarted,
    SessionEvent,
    Updated,
)
from session_svc.domain.position import Position


class Verdict(Enum):
    """What to do with an event."""

    DROP = auto()
    """It is part of what the watcher has."""
    DELIVER = auto()
    """It follows on what the watcher has."""
    READ = auto()
    """Something before it is missing: read the store."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A reply in progress that a watcher was told of, up to chunk `next`, exclusive."""

    id: str
    next: int


def judge(at: Position | None, reply: Followed | None, event: SessionEvent) -> Verdict:
    """What `event` is to a watcher at `at` (None: it knows of no session) who follows `reply`."""
    if isinstance(event, Foreign):
        return Verdict.DROP
    if at is None:
        return Verdict.READ
    then = event.position
    if then.epoch != at.epoch:
        return _of_another_log(at, event)
    if isinstance(event, MessageAppended):
        return _next_message(at, then)
    if isinstance(event, ReplyStarted | ReplyExtended | ReplyEnded):
        return _of_reply(at, reply, event)
    if isinstance(event, Updated | Deleted):
        if then.sequence > at.sequence:
            return Verdict.READ
        return Verdict.DELIVER if then.sequence == at.sequence else Verdict.DROP
    return Verdict.DROP


def is_newer(epoch: str, than: str) -> bool:
    """Whether an epoch began after another one."""
    return (len(epoch), epoch) > (len(than), than)


def _of_another_log(at: Position, event: SessionEvent) -> Verdict:
    if isinstance(event, Foreign) or not is_newer(event.position.epoch, at.epoch):
        return Verdict.DROP
    if isinstance(event, MessagesTruncated) and event.keep > at.sequence:
        return Verdict.READ
    return Verdict.DELIVER if isinstance(event, Cleared | MessagesTruncated | Deleted) else Verdict.READ


def _next_message(at: Position, then: Position) -> Verdict:
    if then.sequence > at.sequence + 1:
        return Verdict.READ
    return Verdict.DELIVER if then.sequence == at.sequence + 1 else Verdict.DROP


def _of_reply(at: Position, reply: Followed | None, event: ReplyEvent) -> Verdict:
    then = event.position
    known = reply is not None and reply.id == event.reply_id
    if isinstance(event, ReplyEnded) and event.message is not None:
        verdict = _next_message(at, then)
        return Verdict.READ if verdict is Verdict.DELIVER and not known else verdict
    if then.sequence != at.sequence:
        # Every reply that said something moved the head with its end: one of before is over, or part of what was read.
        return Verdict.READ if then.sequence > at.sequence else Verdict.DROP
    if isinstance(event, ReplyStarted):
        # Beside another one it is older, and ended without a word: nothing newer can have begun yet.
        return Verdict.DELIVER if reply is None else Verdict.DROP
    if isinstance(event, ReplyEnded):
        return Verdict.DELIVER if known else Verdict.DROP
    if reply is None or not known or event.first > reply.next:
        return Verdict.READ
    return Verdict.DELIVER if event.first == reply.next else Verdict.DROP
