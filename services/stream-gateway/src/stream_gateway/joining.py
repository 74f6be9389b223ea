"""How a viewer gets from where it is to where it is told what comes: without hole or double."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import structlog
from ai_chat_client.errors import AiChatError

from stream_gateway import frames, sse
from stream_gateway.feed import Feed
from stream_gateway.followed import FollowedSession
from stream_gateway.history import PAGE_SIZE, History, LogChangedError, Message
from stream_gateway.position import Position, is_newer
from stream_gateway.viewer import Viewer

PORTION_BYTES: Final = 512 * 1024
"""What a viewer that joins is owed at once of what it missed, but for a message that is larger."""

log = structlog.get_logger(__name__)


class Start(Enum):
    """Where a viewer wants to begin, when not after a position."""

    HEAD = auto()
    """With what comes next."""
    UNKNOWN = auto()
    """It gave something that is no position: it must forget what it has."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The viewer may follow the ring from now on, after these frames."""

    first: tuple[bytes, ...]


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
        return _admitted(sse.mark(str(head)), feed.reply_so_far())
    if start is Start.UNKNOWN:
        return _admitted(feed.summary())
    if head.is_absent:
        return _place_at_nothing(start, verified=verified)
    if start.is_absent:
        start = head.at(0)
    if is_newer(head.epoch, start.epoch):
        return _admitted(feed.summary())
    if start.epoch != head.epoch or start.sequence > head.sequence:
        return _admitted(feed.summary()) if verified else Unsure.READ_FIRST
    missed = feed.ring.replay(start)
    return Behind(start) if missed is None else _admitted(*missed, feed.reply_so_far())


def _place_at_nothing(start: Position, *, verified: bool) -> Admitted | Unsure:
    if start.is_absent:
        return _admitted()
    return _admitted(frames.deleted(start).data) if verified else Unsure.READ_FIRST


def _admitted(*first: bytes) -> Admitted:
    return Admitted(tuple(frame for frame in first if frame))


def admit(viewer: Viewer, followed: FollowedSession, start: Position | Start) -> bool:
    """Lets the viewer follow if that takes no reading."""
    if not followed.feed.is_known:
        return False
    return _settle(viewer, followed.feed, place(followed.feed, start, verified=False))


async def bring(viewer: Viewer, followed: FollowedSession, start: Position | Start, history: History) -> None:
    """Brings the viewer from `start` to the head, and then lets it follow.

    Takes as long as it takes for the head to be known, and for session-svc to be within reach where needed.
    """
    feed, replay = followed.feed, _Replay(viewer, followed, history)
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
                start = await replay.tell_after(placement.after)
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
        viewer.say(*placement.first)
    return True


class _Replay:
    """The messages that a viewer has missed, a page at a time, the next when it has taken all of the one before."""

    def __init__(self, viewer: Viewer, followed: FollowedSession, history: History) -> None:
        self._viewer = viewer
        self._followed = followed
        self._history = history
        self._page_size = PAGE_SIZE

    async def tell_after(self, after: Position) -> Position:
        """Tells the next messages, if they can be read. Returns where the viewer is then."""
        try:
            messages = await self._history.page_after(self._followed.name, after, self._page_size)
        except LogChangedError:
            await self._followed.verify()
            return after
        except AiChatError as error:
            log.debug("history_not_read", reason=error.reason)
            await asyncio.sleep(random.uniform(0.1, 2.0))  # noqa: S311 - Spreads load only.
            return after
        if not messages:
            # The feed knows of messages that session-svc does not: it has lost some, or the feed is wrong.
            await self._followed.verify()
            return after
        after = self._say(messages)
        del messages  # While the viewer takes its time, only what it is owed is kept.
        await self._viewer.drained()
        return after

    def _say(self, messages: tuple[Message, ...]) -> Position:
        """Tells the first messages, up to a portion; the rest are read again, and from then on no more than that."""
        portion = tuple(_portion(messages))
        if len(portion) < len(messages):
            self._page_size = len(portion)
        self._viewer.say(*(message.frame.data for message in portion))
        return portion[-1].position


def _portion(messages: tuple[Message, ...]) -> Iterator[Message]:
    size = 0
    for message in messages:
        if size and size + len(message.frame.data) > PORTION_BYTES:
            return
        size += len(message.frame.data)
        yield message
