"""One session that is followed at the source: what it says, and the repair of what it may have missed."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
from ai_chat_client.errors import AiChatError

from stream_gateway import metrics, sse
from stream_gateway.events import Event, Kind
from stream_gateway.feed import Feed
from stream_gateway.foreign import ForeignChanges
from stream_gateway.frames import Frame
from stream_gateway.history import History, LogChangedError, Snapshot
from stream_gateway.position import Position
from stream_gateway.tasks import Tasks

MAX_PENDING: Final = 2000
MAX_PENDING_BYTES: Final = 8 * 1024 * 1024
MAX_DIFFERENCE: Final = 500
MAX_ATTEMPTS: Final = 3

log = structlog.get_logger(__name__)


class FollowedSession:
    """Keeps a feed true to the session.

    Whenever the source may have missed something, or the feed finds a hole, the session is read again and the
    difference published; meanwhile events wait. `broken` is called when a defect has ended it.
    """

    def __init__(self, name: str, feed: Feed, history: History, tasks: Tasks, broken: Callable[[], None]) -> None:
        self.name = name
        self.feed = feed
        self._history = history
        self._tasks = tasks
        self._broken = broken
        self._known = asyncio.Event()
        self._pending: deque[Event] = deque()
        self._pending_bytes = 0
        self._repairing = False
        self._reads_wanted = 0
        self._reads_done = 0
        self._read_finished = asyncio.Event()
        self._attempts = 0
        self._foreign = ForeignChanges(name, history, lambda: feed.head, self.suspect)
        self._work: set[asyncio.Task[None]] = set()
        feed.forgotten = self.suspect

    async def known(self) -> None:
        """Returns once the head is known."""
        await self._known.wait()

    def subscribed(self) -> None:
        """Reads the session again: the source delivers from now on, but may have missed what was before.

        Whatever of ours still waits was published before that read: it is part of what will be read, or over.
        """
        self._pending = deque(event for event in self._pending if event.position is None)
        self._pending_bytes = sum(len(event.data) for event in self._pending)
        self.suspect()

    def suspect(self) -> None:
        """Reads the session again: something may have been missed."""
        self._reads_wanted += 1
        if not self._repairing:
            self._repairing = True
            self._spawn(self._repair())

    async def verify(self) -> None:
        """Returns once the session has been read by a call made after this one; one call for all who wait."""
        self.suspect()
        wanted = self._reads_wanted
        while self._reads_done < wanted:
            await self._read_finished.wait()

    def offer(self, event: Event) -> None:
        """Takes an event from the source."""
        if self._repairing:
            self._wait_for_repair(event)
        elif self.feed.is_known and not self._take(event):
            self._wait_for_repair(event)
            self.suspect()

    def close(self) -> None:
        """Ends its work: nobody follows the session any more."""
        for task in self._work:
            task.cancel()
        self.feed.close()

    def _take(self, event: Event) -> bool:
        """Publishes what is next. False: something before it was missed."""
        if event.position is not None:
            return self.feed.take(event)
        if event.kind is Kind.FOREIGN:
            self.feed.pass_on(Frame(sse.encode(event.data)))
        elif self._foreign.announce():
            self._spawn(self._foreign.look())
        return True

    def _wait_for_repair(self, event: Event) -> None:
        self._pending.append(event)
        self._pending_bytes += len(event.data)
        if len(self._pending) > MAX_PENDING or self._pending_bytes > MAX_PENDING_BYTES:
            self._pending.clear()
            self._pending_bytes = 0
            self._reads_wanted += 1

    async def _repair(self) -> None:
        metrics.REPAIRS.inc()
        while self._reads_done < self._reads_wanted:
            reading = self._reads_wanted
            snapshot = await self._read()
            if not await self._bring_to(snapshot) or not self._take_pending():
                await asyncio.sleep(random.uniform(0.01, 0.1) * 2**self._attempts)  # noqa: S311 - Spreads load only.
                continue
            self._attempts = 0
            self._reads_done = reading
            self._known.set()
            self._read_finished.set()
            self._read_finished = asyncio.Event()
        self._repairing = False

    async def _read(self) -> Snapshot:
        ceiling = 0.1
        while True:
            try:
                return await self._history.snapshot(self.name)
            except AiChatError as error:
                log.debug("session_not_read", reason=error.reason)
            ceiling = min(ceiling * 2, 5.0)
            await asyncio.sleep(random.uniform(0.05, ceiling))  # noqa: S311 - Spreads load only.

    async def _bring_to(self, snapshot: Snapshot) -> bool:
        """Publishes what was missed until `snapshot`. False: read again."""
        feed = self.feed
        if not feed.is_known:
            feed.begin(self._before_what_waits(snapshot.head), snapshot)
        if feed.is_stale(snapshot) and self._attempts < MAX_ATTEMPTS:
            self._attempts += 1
            return False
        if snapshot.head.is_absent:
            feed.vanish()
            return True
        feed.found(snapshot.head)
        missed = snapshot.head.sequence - feed.head.sequence
        jumps = snapshot.head.epoch != feed.head.epoch or not 0 <= missed <= MAX_DIFFERENCE
        if jumps:
            feed.jump(snapshot.head)
        elif not await self._fill(snapshot.head):
            return False
        feed.settle_reply(snapshot.reply, again=jumps)
        feed.describe(snapshot)
        return True

    def _before_what_waits(self, head: Position) -> Position:
        """Where the session was when it was subscribed to, as far as the messages that wait since then tell."""
        for event in self._pending:
            if event.kind is Kind.MESSAGE and event.position and event.position.epoch == head.epoch:
                return head.at(min(head.sequence, event.position.sequence - 1))
        return head

    async def _fill(self, head: Position) -> bool:
        """Publishes the messages up to `head` and no further: the reply that was read is the one in progress there."""
        while self.feed.head.sequence < head.sequence:
            try:
                messages = await self._history.after(self.name, self.feed.head)
            except (LogChangedError, AiChatError):
                return False
            if not messages:
                return False
            for message in messages:
                if message.position.sequence <= head.sequence:
                    self.feed.append(message)
        return True

    def _take_pending(self) -> bool:
        """Publishes the events that waited. False: there is a hole before the first that is left."""
        while self._pending:
            event = self._pending[0]
            if not self._take(event) and not self._is_history(event):
                self._attempts += 1
                if self._attempts <= MAX_ATTEMPTS:
                    return False
                metrics.EVENTS_BAD.inc()
                log.warning("event_discarded", type=event.type, why="session-svc does not know what precedes it")
                self._attempts = 0
            self._pending.popleft()
            self._pending_bytes -= len(event.data)
        return True

    def _is_history(self, event: Event) -> bool:
        """Whether the session of `event` was deleted after it, which the snapshot already knew."""
        return self.feed.head.is_absent and any(
            later.kind is Kind.DELETED
            and later.position
            and event.position
            and later.position.epoch == event.position.epoch
            for later in self._pending
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks.spawn(work, self._broken)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
