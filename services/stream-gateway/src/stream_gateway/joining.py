"""How a viewer gets from where it is to where it is told what comes: without hole or double."""

import asyncio
import random
from dataclasses import dataclass
from enum import Enum, auto

import structlog
from ai_chat_client.errors import AiChatError

from stream_gateway import frames, sse
from stream_gateway.feed import Feed
from stream_gateway.followed import FollowedSession
from stream_gateway.history import History, LogChangedError
from stream_gateway.position import Position, is_newer
from stream_gateway.viewer import Viewer

log = structlog.get_logger(__name__)


class Start(Enum):
    """Where a viewer wants to begin, when not after a position."""

    HEAD = auto()
    """With what comes next."""
    UNKNOWN = auto()
    """It gave something that is no position: it must forget what it has."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The viewer may follow the ring from now on, after these bytes."""

    first: bytes


@dataclass(frozen=True, slots=True)
class Behind:
    """The viewer must first be told the messages after this position."""

    after: Position


class Unsure(Enum):
    """The session must be read before anything can be said."""

    READ_FIRST = auto()


Placement = Admitted | Behind | Unsure


def place(feed: Feed, start: Position | Start, *, verified: bool) -> Placement:
    """Says how a viewer gets from `start` to the head, which must be known. `verified`: the session was just read.

    Whoever is admitted is told the reply in progress as far as it is, and then what comes of it.
    """
    if feed.reply is not None and not feed.reply.is_held and not verified:
        return Unsure.READ_FIRST
    head = feed.head
    if start is Start.HEAD:
        return Admitted(sse.mark(str(head)) + feed.reply_so_far())
    if start is Start.UNKNOWN:
        return Admitted(feed.summary())
    if head.is_absent:
        return _place_at_nothing(start, verified=verified)
    if start.is_absent:
        start = head.at(0)
    if is_newer(head.epoch, start.epoch):
        return Admitted(feed.summary())
    if start.epoch != head.epoch or start.sequence > head.sequence:
        return Admitted(feed.summary()) if verified else Unsure.READ_FIRST
    missed = feed.ring.replay(start)
    return Behind(start) if missed is None else Admitted(missed + feed.reply_so_far())


def _place_at_nothing(start: Position, *, verified: bool) -> Admitted | Unsure:
    if start.is_absent:
        return Admitted(b"")
    return Admitted(frames.deleted(start).data) if verified else Unsure.READ_FIRST


def admit(viewer: Viewer, followed: FollowedSession, start: Position | Start) -> bool:
    """Lets the viewer follow if that takes no reading."""
    if not followed.feed.is_known:
        return False
    return _settle(viewer, followed.feed, place(followed.feed, start, verified=False))


async def bring(viewer: Viewer, followed: FollowedSession, start: Position | Start, history: History) -> None:
    """Brings the viewer from `start` to the head, and then lets it follow.

    Takes as long as it takes for the head to be known, and for session-svc to be within reach where needed.
    """
    feed = followed.feed
    feed.joining += 1
    try:
        if not feed.is_known:
            await followed.known()
            if start is Start.HEAD:
                start = feed.beginning
                viewer.say(sse.mark(str(start)))
        verified = False
        while not _settle(viewer, feed, placement := place(feed, start, verified=verified)):
            verified = False
            if isinstance(placement, Behind):
                start = await _tell_missed(viewer, followed, placement.after, history)
            else:
                await followed.verify()
                verified = True
    finally:
        feed.joining -= 1


def _settle(viewer: Viewer, feed: Feed, placement: Placement) -> bool:
    if not isinstance(placement, Admitted):
        return False
    viewer.follow(feed.ring)
    if placement.first:
        viewer.say(placement.first)
    return True


async def _tell_missed(viewer: Viewer, followed: FollowedSession, after: Position, history: History) -> Position:
    try:
        messages = await history.after(followed.name, after)
    except LogChangedError:
        await followed.verify()
        return after
    except AiChatError as error:
        log.debug("history_not_read", reason=error.reason)
        await asyncio.sleep(random.uniform(0.1, 2.0))  # noqa: S311 - Spreads load only.
        return after
    if not messages:
        # The feed knows of messages that session-svc does not: it has lost some, or the feed is wrong.
        await followed.verify()
        return after
    viewer.say(b"".join(message.frame.data for message in messages))
    await viewer.drained()
    return messages[-1].position
