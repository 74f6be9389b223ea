"""One followed session: its log, its ring, and the repair of what the source may have missed."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

import structlog
from ai_chat_client.errors import AiChatError

from stream_gateway import metrics, sse
from stream_gateway.events import Event, Kind, compose, fingerprint, now_ms
from stream_gateway.history import History, LogChangedError, Snapshot
from stream_gateway.log import Log, Verdict
from stream_gateway.position import ABSENT, Position, is_newer
from stream_gateway.ring import Frame, Ring
from stream_gateway.tasks import Tasks

MAX_PENDING: Final = 2000
MAX_PENDING_BYTES: Final = 8 * 1024 * 1024
MAX_DIFFERENCE: Final = 500
MAX_ATTEMPTS: Final = 3
FOREIGN_SECONDS: Final = 5.0

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


class Ahead(Enum):
    """The viewer knows more than the feed does: ask `verify` first."""

    OF_FEED = auto()


class Feed:
    """What happens in one session, in order and without holes, from the moment that the head is known.

    Whenever the source may have missed something (`suspect`), the session is read again and the difference published;
    meanwhile events wait. `changed` is called after frames were added to the ring.
    """

    def __init__(
        self, name: str, ring: Ring, history: History, tasks: Tasks, changed: Callable[["Feed"], None]
    ) -> None:
        self.name = name
        self.ring = ring
        self._history = history
        self._tasks = tasks
        self._changed = changed
        self._log: Log | None = None
        self._known = asyncio.Event()
        self._pending: deque[Event] = deque()
        self._pending_bytes = 0
        self._repairing = False
        self._reads_wanted = 0
        self._reads_done = 0
        self._read_finished = asyncio.Event()
        self._attempts = 0
        self._fingerprint = fingerprint()
        self._foreign_until: float | None = None
        self._foreign_head = ABSENT
        self._foreign_changes = 0
        self._work: set[asyncio.Task[None]] = set()
        self.failed = False
        """Whether a defect ended it: whoever follows it must be sent away."""

    @property
    def head(self) -> Position:
        """The position of the last message published, once it is `known`."""
        return self._require_log().head

    async def known(self) -> None:
        """Returns once the head is known."""
        await self._known.wait()

    def suspect(self) -> None:
        """Reads the session again: the source delivers from now on, but may have missed what was before."""
        self._reads_wanted += 1
        if not self._repairing:
            self._repairing = True
            self._spawn(self._repair())

    async def verify(self) -> None:
        """Returns once the session has been read by a call made after this one."""
        self.suspect()
        wanted = self._reads_wanted
        while self._reads_done < wanted:
            await self._read_finished.wait()

    def offer(self, event: Event) -> None:
        """Takes an event from the source."""
        if self._repairing:
            self._wait_for_repair(event)
        elif self._log is not None and not self._take(self._log, event):
            self._wait_for_repair(event)
            self.suspect()

    def close(self) -> None:
        """Ends its work: nobody follows the session any more."""
        for task in self._work:
            task.cancel()
        self.ring.clear()

    def place(self, start: Position | Start, *, verified: bool) -> Admitted | Behind | Ahead:
        """Says how a viewer gets from `start` to the head, which must be known. `verified`: after `verify`."""
        head = self._require_log().head
        if start is Start.HEAD:
            return Admitted(sse.mark(str(head)))
        if start is Start.UNKNOWN:
            return Admitted(self.reset_frame().data)
        if head.is_absent:
            return self._place_at_nothing(start, verified=verified)
        if start.is_absent:
            start = head.at(0)
        if is_newer(head.epoch, start.epoch):
            return Admitted(self.reset_frame().data)
        if start.epoch != head.epoch or start.sequence > head.sequence:
            return Admitted(self.reset_frame().data) if verified else Ahead.OF_FEED
        missed = self.ring.replay(start)
        return Behind(start) if missed is None else Admitted(missed)

    def reset_frame(self) -> Frame:
        """Tells a viewer to forget what it has, and where the head is."""
        head = self._require_log().head
        return Frame(sse.encode(compose("reset", "{}", now_ms(), head), str(head)), head, advances=True)

    def _place_at_nothing(self, start: Position, *, verified: bool) -> Admitted | Ahead:
        if start.is_absent:
            return Admitted(b"")
        if not verified:
            return Ahead.OF_FEED
        return Admitted(self._deleted_frame(start).data)

    def _require_log(self) -> Log:
        if self._log is None:
            raise RuntimeError("the head is not known yet")
        return self._log

    # Events

    def _take(self, known: Log, event: Event) -> bool:
        """Publishes `event` if it is next. False: something before it was missed."""
        if event.position is None:
            self._take_foreign(event)
            return True
        verdict = known.judge(event)
        if verdict is Verdict.HOLE:
            return False
        was_absent = known.head.is_absent
        known.advance(event)
        if verdict is Verdict.NEXT:
            if was_absent:
                self.ring.rebase(event.position.at(0))
            if event.kind is Kind.DELETED:
                self._fingerprint = fingerprint()
            elif event.fingerprint is not None:
                self._fingerprint = event.fingerprint
            self._publish(_frame(event, known.head))
            if event.kind in (Kind.NEW_LOG, Kind.DELETED):
                self.ring.rebase(known.head)
        return True

    def _take_foreign(self, event: Event) -> None:
        if event.kind is Kind.FOREIGN:
            self._publish(Frame(sse.encode(event.data)))
            return
        waiting = self._foreign_until is not None
        self._foreign_until = time.monotonic() + FOREIGN_SECONDS
        if waiting:
            self._foreign_changes += 1
            return
        self._foreign_head, self._foreign_changes = self.head, 1
        self._spawn(self._await_foreign_changes())

    def _foreign_changes_told(self) -> bool:
        """Whether the head has moved as often as chat.ai said it would."""
        if self.head.epoch != self._foreign_head.epoch:
            return self._foreign_changes == 1
        return self.head.sequence - self._foreign_head.sequence >= self._foreign_changes

    async def _await_foreign_changes(self) -> None:
        """chat.ai says that it changes the session: has session-svc look until it finds, and announces, the changes.

        One for each of its events, because it announces some before it stores them.
        """
        delay = 0.02
        found = self._foreign_head
        try:
            while not self._foreign_changes_told() and time.monotonic() < (self._foreign_until or 0):
                try:
                    found = await self._history.touch(self.name)
                except AiChatError as error:
                    log.debug("foreign_change_not_read", reason=error.reason)
                if found == ABSENT != self.head:
                    self.suspect()
                await asyncio.sleep(delay)
                delay = min(delay * 1.5, 0.5)
        finally:
            self._foreign_until = None
        if found != self.head and self.head == self._foreign_head:
            self.suspect()

    def _publish(self, *frames: Frame) -> None:
        for frame in frames:
            self.ring.append(frame)
        self._changed(self)

    # Repair

    def _wait_for_repair(self, event: Event) -> None:
        self._pending.append(event)
        self._pending_bytes += len(event.data)
        if len(self._pending) > MAX_PENDING or self._pending_bytes > MAX_PENDING_BYTES:
            self._forget_pending()
            self._reads_wanted += 1

    def _forget_pending(self) -> None:
        self._pending.clear()
        self._pending_bytes = 0

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
            self._announce_read()
        self._repairing = False

    def _announce_read(self) -> None:
        self._read_finished.set()
        self._read_finished = asyncio.Event()

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
        known = self._log
        if known is None:
            self._log = Log(snapshot.head)
            self._fingerprint = snapshot.fingerprint
            self.ring.rebase(snapshot.head)
            return True
        if known.supersedes(snapshot.head) and self._attempts < MAX_ATTEMPTS:
            self._attempts += 1
            return False
        if snapshot.head.is_absent:
            if not known.head.is_absent:
                self._publish(self._deleted_frame(known.head))
                known.move(ABSENT)
                self.ring.rebase(ABSENT)
                self._fingerprint = fingerprint()
            return True
        if not await self._fill(known, snapshot.head):
            return False
        if snapshot.updated and snapshot.fingerprint != self._fingerprint:
            self._fingerprint = snapshot.fingerprint
            self._publish(snapshot.updated)
        return True

    async def _fill(self, known: Log, head: Position) -> bool:
        if known.head.is_absent:
            known.move(head.at(0))
            self.ring.rebase(known.head)
        missed = head.sequence - known.head.sequence
        if head.epoch != known.head.epoch or missed < 0 or missed > MAX_DIFFERENCE:
            known.move(head)
            self._publish(self.reset_frame())
            self.ring.rebase(head)
            return True
        while known.head.sequence < head.sequence:
            try:
                page = await self._history.after(self.name, known.head)
            except (LogChangedError, AiChatError):
                return False
            if not page.frames:
                return False
            known.move(page.last)
            self._publish(*page.frames)
        return True

    def _take_pending(self) -> bool:
        """Publishes the events that waited. False: there is a hole before the first that is left."""
        known = self._require_log()
        while self._pending:
            event = self._pending[0]
            if not self._take(known, event) and not self._is_history(known, event):
                self._attempts += 1
                if self._attempts <= MAX_ATTEMPTS:
                    return False
                metrics.EVENTS_BAD.inc()
                log.warning("event_discarded", type=event.type, why="session-svc does not know what precedes it")
                self._attempts = 0
            self._pending.popleft()
        self._pending_bytes = 0
        return True

    def _is_history(self, known: Log, event: Event) -> bool:
        """Whether the session of `event` was deleted after it, which the snapshot already knew."""
        return known.head.is_absent and any(
            later.kind is Kind.DELETED
            and later.position
            and event.position
            and later.position.epoch == event.position.epoch
            for later in self._pending
        )

    def _deleted_frame(self, last: Position) -> Frame:
        return Frame(sse.encode(compose("deleted", "{}", now_ms(), last), str(ABSENT)), ABSENT, advances=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks.spawn(work, self._broken)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _broken(self) -> None:
        self.failed = True
        self._changed(self)


def _frame(event: Event, head: Position) -> Frame:
    match event.kind:
        case Kind.MESSAGE | Kind.NEW_LOG:
            return Frame(sse.encode(event.data, str(head)), head, advances=True)
        case Kind.DELETED:
            return Frame(sse.encode(event.data, str(ABSENT)), ABSENT, advances=True)
        case Kind.UPDATED:
            return Frame(sse.encode(event.data, str(head) if event.position == head else None), event.position)
        case _:
            return Frame(sse.encode(event.data))
