"""Watching one session: what was seen equals what was written, whatever the timing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from session_svc.application import watch as module
from session_svc.application import watcher
from session_svc.application.foreign import ForeignWrites
from session_svc.application.observations import After, CaughtUp, Delivered, Forget, Heartbeat, Observation, Tail
from session_svc.application.watch import SessionWatch
from session_svc.bus.memory import InMemoryStreamBus
from session_svc.domain.errors import ReplyInProgress, ReplyLost, ReplyNotFound, ReplyStopped, SessionNotFound
from session_svc.domain.events import (
    Cleared,
    Deleted,
    Foreign,
    MessagesTruncated,
    ReplyEnded,
    ReplyExtended,
    ReplyStarted,
    SessionEvent,
    Updated,
)
from session_svc.domain.message import Message, NewMessage, Role
from session_svc.domain.position import Position
from session_svc.domain.reply import Chunk, Part, ReplyLease, ReplySnapshot, ReplyStart, Text, joined
from session_svc.domain.session import MessagePage, NewSession, Session, SessionChange, Snapshot
from session_svc.storage.base import Append
from session_svc.storage.memory import InMemoryMessageHistory, InMemorySessionStore, InMemoryStorage

NAME = "talk"
LEASE = 5000


class UnreliableBus(InMemoryStreamBus):
    """A bus that can hold events back and lose them, as a network does."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[Callable[[], None]] | None = None
        self._losing = False
        self.drop_after: int | None = None
        """How many more events pass before one is lost without a sign."""

    def publish(self, name: str, event: SessionEvent, size: int) -> None:
        if self._losing:
            return
        if self.drop_after is not None:
            self.drop_after -= 1
            if self.drop_after < 0:
                self.drop_after = None
                return
        if self._held is not None:
            self._held.append(lambda: InMemoryStreamBus.publish(self, name, event, size))
        else:
            super().publish(name, event, size)

    def hold(self) -> None:
        self._held = self._held or []

    def release(self) -> None:
        held, self._held = self._held or [], None
        for publish in held:
            publish()

    def lose(self) -> None:
        self._losing = True

    def regain(self) -> None:
        if self._losing:
            self._losing = False
            self.release()
            for subscriber in self._sessions.get(NAME, ()):
                subscriber.lose()


class SlowHistory(InMemoryMessageHistory):
    """Small pages, and time passes before and after each is read."""

    async def page(
        self, name: str, *, start: int, limit: int, newest_first: bool, epoch: str | None = None
    ) -> MessagePage:
        await asyncio.sleep(0)
        page = await super().page(name, start=start, limit=min(limit, 3), newest_first=newest_first, epoch=epoch)
        await asyncio.sleep(0)
        return page

    async def snapshot(self, name: str, *, tail: int) -> Snapshot:
        await asyncio.sleep(0)
        snapshot = await super().snapshot(name, tail=tail)
        await asyncio.sleep(0)
        return snapshot


class SlowStore(InMemorySessionStore):
    """Time passes before and after a session is read."""

    async def get(self, name: str) -> Session:
        await asyncio.sleep(0)
        session = await super().get(name)
        await asyncio.sleep(0)
        return session


@dataclass(frozen=True)
class Draft:
    """A reply as far as it was seen: its chunks, neighbouring texts joined, and the number of the next."""

    id: str
    chunks: tuple[Chunk, ...]
    next: int


@dataclass
class Viewer:
    """What somebody sees who follows a watch, and insists that nothing is missing and nothing comes twice."""

    log: list[tuple[int, str]] = field(default_factory=list)
    draft: Draft | None = None
    ended: set[str] = field(default_factory=set)
    title: str | None = None
    position: str | None = None
    caught_up: bool = False
    gone: bool = False
    ends: int = 0

    def join(self) -> None:
        """Begins to watch, again: what was being written is told anew."""
        self.draft = None
        if self.gone:
            self.gone = False
            self.ended.clear()  # In a session that is created anew an id may be used again.

    def see(self, observation: Observation) -> None:
        self.position = str(observation.position) if observation.position else ""
        match observation.event:
            case Delivered(messages):
                for message in messages:
                    assert self.draft is None or message.id != self.draft.id
                    self._add(message)
                assert observation.position is not None
                assert observation.position.sequence == messages[-1].sequence
            case ReplySnapshot() | ReplyStarted() | ReplyExtended() | ReplyEnded() as event:
                self._see_reply(event)
            case Forget():
                self.log.clear()
                self.draft = None
                self.ended.clear()  # The session may be another one of that name, in which an id may be used again.
            case Cleared():
                self.log.clear()
                self.draft = None
            case MessagesTruncated(keep=keep):
                self.log = [entry for entry in self.log if entry[0] <= keep]
            case Updated(session=session):
                self.title = session.title
            case CaughtUp():
                self.caught_up = True
            case Deleted():
                assert self.draft is None
                self.log.clear()
                self.gone = True

    def _add(self, message: Message) -> None:
        assert not self.log or message.sequence == self.log[-1][0] + 1
        self.log.append((message.sequence, f"{message.id}: {message.content}"))

    def _see_reply(self, event: ReplySnapshot | ReplyStarted | ReplyExtended | ReplyEnded) -> None:
        match event:
            case ReplySnapshot():
                assert event.id not in self.ended
                assert self.draft is None or self.draft.id == event.id
                self.draft = Draft(event.id, event.chunks, event.next_chunk)
            case ReplyStarted():
                assert event.reply_id not in self.ended
                assert self.draft is None
                self.draft = Draft(event.reply_id, (), 0)
            case ReplyExtended():
                assert self.draft is not None
                assert (self.draft.id, self.draft.next) == (event.reply_id, event.first)
                self.draft = Draft(event.reply_id, joined([*self.draft.chunks, event.chunk]), event.end)
            case ReplyEnded():
                assert self.draft is not None
                assert self.draft.id == event.reply_id
                assert event.reply_id not in self.ended
                if event.message:
                    self._add(event.message)
                    said = "".join(chunk.text for chunk in self.draft.chunks if isinstance(chunk, Text))
                    assert event.message.content.startswith(("instead", said))
                self.ended.add(event.reply_id)
                self.ends += 1
                self.draft = None


class World:
    """A session, a bus that may fail, and one watcher."""

    def __init__(self) -> None:
        self.bus = UnreliableBus()
        self.now = 20_000 * 86_400_000
        storage = InMemoryStorage(self.bus, clock=lambda: self.now)
        self.replies = storage.replies
        self.lease: ReplyLease | None = None
        self.accepted = 0
        self.history = storage.history
        self.store = storage.store
        self.slow_history = SlowHistory(storage.store._state)
        self.slow_store = SlowStore(storage.store._state, storage.replies)
        self.foreign = ForeignWrites(self.slow_store)
        self.watches = SessionWatch(self.slow_history, self.bus, self.foreign)
        self.written = 0

    async def append(self, count: int = 1) -> None:
        messages = []
        for _ in range(count):
            self.written += 1
            messages.append(NewMessage(Role.ASSISTANT, f"message {self.written}", id=f"m{self.written}"))
        await self.history.append(Append(NAME, messages))

    async def start_reply(self, number: int) -> None:
        """A new reply; with the user's turn, every other time and where there is no session."""
        self.written += 1
        turn = [NewMessage(Role.USER, f"question {self.written}", id=f"q{self.written}")] if number % 2 else []
        await self._take_slot(ReplyStart(NAME, f"r{self.written}", "key", "bot", "", LEASE, turn))

    async def resume_reply(self) -> None:
        """The writer comes back, at another replica."""
        if self.lease is not None:
            await self._take_slot(ReplyStart(NAME, self.lease.reply_id, "key", "bot", "", LEASE))

    async def _take_slot(self, start: ReplyStart) -> None:
        lease = await self.replies.start(start)
        if isinstance(lease, ReplyLease):
            self.lease, self.accepted = lease, lease.accepted

    async def say(self, number: int) -> None:
        """Some chunks at once, texts and parts."""
        if self.lease is not None:
            chunks: list[Chunk] = []
            for place in range(number % 3 + 1):
                self.written += 1
                text = (
                    Text(f"{self.written} ", number) if (number + place) % 4 else Part("p", f'{{"n":{self.written}}}')
                )
                chunks.append(text)
            self.accepted = await self.replies.write(self.lease, self.accepted, chunks)

    async def finish_reply(self, number: int) -> None:
        """Every third time with messages of its own."""
        if self.lease is not None:
            self.written += 1
            roles = [Role.ASSISTANT, Role.TOOL, Role.ASSISTANT] if number % 3 == 0 else []
            messages = [NewMessage(role, "instead", id=f"i{self.written}-{place}") for place, role in enumerate(roles)]
            await self.replies.finish(self.lease, attributes="", messages=messages)

    async def fail_reply(self) -> None:
        if self.lease is not None:
            await self.replies.fail(self.lease, reason="broken", attributes="")

    async def lapse(self) -> None:
        """The writer is gone for longer than its lease."""
        self.now += LEASE
        await self.store.settle_due()

    async def log(self) -> list[tuple[int, str]]:
        try:
            page = await self.history.page(NAME, start=1, limit=10_000, newest_first=False)
        except SessionNotFound:
            return []
        return [(message.sequence, f"{message.id}: {message.content}") for message in page.messages]

    async def draft(self) -> Draft | None:
        try:
            reply = (await self.history.snapshot(NAME, tail=0)).reply
        except SessionNotFound:
            return None
        return Draft(reply.id, reply.chunks, reply.next_chunk) if reply else None

    @asynccontextmanager
    async def watching(self, viewer: Viewer, start: After | Tail) -> AsyncIterator[None]:
        """Feeds `viewer` for as long as it is entered; begins anew after the session was deleted."""

        async def follow() -> None:
            begin = start
            while True:
                viewer.join()
                async with aclosing(self.watches.watch(NAME, begin)) as observations:
                    async for observation in observations:
                        viewer.see(observation)
                begin = After(viewer.position or "")

        task = asyncio.create_task(follow())
        try:
            yield
        finally:
            task.cancel()
            results = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError), results[0]

    async def until_seen(self, viewer: Viewer) -> None:
        """Returns once the viewer sees what is stored; fails when it never does."""
        expected = await self.log(), await self.draft()
        for _ in range(2000):
            if (viewer.log, viewer.draft) == expected:
                return
            await asyncio.sleep(0)
        assert (viewer.log, viewer.draft) == expected

    async def do(self, step: tuple[str, int]) -> None:
        kind, number = step
        steps: dict[str, Callable[[], Awaitable[object] | None]] = {
            "append": lambda: self.append(number),
            "clear": lambda: self.history.clear(NAME),
            "truncate": lambda: self.history.truncate(NAME, remove_last=number),
            "delete": lambda: self.store.delete(NAME),
            "create": lambda: self.store.create(NAME, NewSession(), allow_existing=True),
            "rename": lambda: self.store.update(NAME, SessionChange(title=f"title {number}")),
            "start": lambda: self.start_reply(number),
            "resume": self.resume_reply,
            "say": lambda: self.say(number),
            "finish": lambda: self.finish_reply(number),
            "fail": self.fail_reply,
            "stop": lambda: self.replies.stop(NAME, ""),
            "lapse": self.lapse,
            "wait": lambda: turns(number),
            "hold": self.bus.hold,
            "release": self.bus.release,
            "lose": self.bus.lose,
            "regain": self.bus.regain,
        }
        self.now += 1
        with suppress(SessionNotFound, ReplyInProgress, ReplyLost, ReplyNotFound, ReplyStopped):
            outcome = steps[kind]()
            if outcome is not None:
                await outcome


async def turns(count: int) -> None:
    """Lets everything else run so often."""
    for _ in range(count):
        await asyncio.sleep(0)


KINDS = ["append"] * 4 + ["wait"] * 4
KINDS += ["start"] * 3 + ["say"] * 6 + ["resume", "finish", "fail", "stop", "lapse"]
KINDS += ["clear", "truncate", "delete", "create", "rename", "hold", "release", "lose", "regain"]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 8)), max_size=40)


SILENT_BEFORE = [("append", 1)]
SILENT = [("hold", 1), ("start", 2), ("stop", 1), ("start", 2), ("wait", 30), ("release", 1), ("wait", 30)]
"""A reply that ends without a word and one that begins, both known from the store before their events come."""


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "_STALE_PAUSE", 0)


@settings(max_examples=400, deadline=None)
@given(before=STEPS, during=STEPS)
@example(before=SILENT_BEFORE, during=SILENT)
def test_what_is_seen_equals_what_was_written_whatever_the_timing(
    before: list[tuple[str, int]], during: list[tuple[str, int]]
) -> None:
    async def play() -> None:
        world, viewer = World(), Viewer()
        for step in before:
            await world.do(step)
        async with world.watching(viewer, After("")):
            for step in during:
                await world.do(step)
            world.bus.release()
            world.bus.regain()
            await world.until_seen(viewer)
            await world.append(3)
            await world.until_seen(viewer)

    asyncio.run(play())


@settings(max_examples=300, deadline=None)
@given(steps=STEPS, cuts=st.lists(st.integers(0, 25), max_size=6))
def test_a_watch_cut_anywhere_resumes_at_the_position_last_seen_without_gap_or_double(
    steps: list[tuple[str, int]], cuts: list[int]
) -> None:
    async def play() -> None:
        world, viewer = World(), Viewer(position="")
        await world.append(5)
        for cut in [*cuts, 0]:
            async with world.watching(viewer, After(viewer.position or "")):
                for step in steps:
                    await world.do(step)
                for _ in range(cut):
                    await asyncio.sleep(0)
            world.bus.release()
            world.bus.regain()
        async with world.watching(viewer, After(viewer.position or "")):
            await world.until_seen(viewer)

    asyncio.run(play())


@pytest.fixture
def world() -> World:
    return World()


async def take(world: World, start: After | Tail, count: int) -> list[Observation]:
    seen = []
    async with asyncio.timeout(60), aclosing(world.watches.watch(NAME, start)) as observations:
        async for observation in observations:
            seen.append(observation)
            if len(seen) == count:
                break
    return seen


async def test_a_tail_begins_with_the_last_messages(world: World) -> None:
    await world.append(5)
    delivered, caught_up = await take(world, Tail(2), 2)
    assert isinstance(delivered.event, Delivered)
    assert [message.sequence for message in delivered.event.messages] == [4, 5]
    assert caught_up == Observation((await world.store.get(NAME)).position, CaughtUp())


async def test_without_a_start_only_what_comes_is_told(world: World) -> None:
    await world.append(5)
    [caught_up] = await take(world, Tail(0), 1)
    assert caught_up.event == CaughtUp()


async def test_a_session_that_does_not_exist_is_watched_and_its_creation_delivers_its_messages(world: World) -> None:
    viewer = Viewer()
    async with world.watching(viewer, Tail(0)):
        for _ in range(10):
            await asyncio.sleep(0)
        assert viewer.caught_up
        assert viewer.position == ""
        await world.append(2)
        await world.until_seen(viewer)


@pytest.mark.parametrize("after", ["garbage", "zzzzzzzzzzzz.3", "0000000000.1", "…"])
async def test_a_position_of_another_log_resets_and_delivers_all_messages(world: World, after: str) -> None:
    await world.append(2)
    reset, delivered, caught_up = await take(world, After(after), 3)
    head = (await world.store.get(NAME)).position
    assert reset == Observation(Position(head.epoch, 0), Forget())
    assert isinstance(delivered.event, Delivered)
    assert [message.id for message in delivered.event.messages] == ["m1", "m2"]
    assert caught_up == Observation(head, CaughtUp())


async def test_a_position_beyond_the_head_resets(world: World) -> None:
    await world.append(2)
    head = (await world.store.get(NAME)).position
    [reset] = await take(world, After(f"{head.epoch}.3"), 1)
    assert reset.event == Forget()


async def test_a_position_of_a_session_that_is_gone_resets_to_nothing(world: World) -> None:
    assert await take(world, After("mws8phqpe04l.3"), 2) == [Observation(None, Forget()), Observation(None, CaughtUp())]


@pytest.mark.parametrize("lost", range(13))
async def test_an_event_that_is_lost_without_a_sign_is_missed_at_the_next(world: World, lost: int) -> None:
    await world.append(1)
    viewer = Viewer()
    async with world.watching(viewer, After("")):
        await world.until_seen(viewer)
        world.bus.drop_after = lost
        for step in (
            ("start", 1),
            ("say", 0),
            ("say", 0),
            ("say", 0),
            ("finish", 1),
            ("start", 2),
            ("finish", 1),
            ("start", 2),
            ("say", 0),
            ("stop", 0),
            ("start", 2),
            ("say", 0),
            ("say", 0),
        ):
            is_lost = world.bus.drop_after is None
            await world.do(step)
            await turns(20)
            if is_lost:
                await world.until_seen(viewer)
    assert is_lost


async def test_a_reply_that_goes_on_through_a_loss_is_shown_whole_and_a_finished_one_once(world: World) -> None:
    await world.do(("start", 1))
    await world.do(("say", 1))
    viewer = Viewer()
    async with world.watching(viewer, After("")):
        await world.until_seen(viewer)
        for during in ("say", "finish", "start"):
            world.bus.lose()
            await world.do((during, 2))
            world.bus.regain()
            await world.until_seen(viewer)
    assert len(viewer.ended) == 1


@pytest.mark.parametrize("how", ["clear", "truncate", "delete"])
async def test_a_reply_that_goes_with_its_messages_is_ended_first(world: World, how: str) -> None:
    await world.do(("start", 1))
    viewer = Viewer()
    async with world.watching(viewer, After("")):
        await world.do(("say", 1))
        await world.until_seen(viewer)
        await world.do((how, 1))
        await world.until_seen(viewer)
    assert viewer.ends == 1


async def test_a_rename_that_was_missed_is_told_after_the_loss(world: World) -> None:
    await world.append(1)
    viewer = Viewer()
    async with world.watching(viewer, Tail(0)):
        await world.do(("wait", 20))
        world.bus.lose()
        await world.do(("rename", 7))
        world.bus.regain()
        await world.do(("wait", 50))
    assert viewer.title == "title 7"


async def test_a_deletion_that_was_missed_ends_the_watch_after_the_loss(world: World) -> None:
    await world.append(1)
    async with asyncio.timeout(60), aclosing(world.watches.watch(NAME, Tail(0))) as observations:
        assert (await anext(observations)).event == CaughtUp()
        world.bus.lose()
        await world.store.delete(NAME)
        world.bus.regain()
        assert isinstance((await anext(observations)).event, Deleted)
        with pytest.raises(StopAsyncIteration):
            await anext(observations)


async def test_a_watcher_that_falls_behind_goes_on_from_the_store(world: World) -> None:
    viewer = Viewer()
    async with world.watching(viewer, After("")):
        await world.do(("wait", 20))
        for _ in range(1500):  # More than a subscriber holds, without letting it run.
            await world.append(1)
        for _ in range(200):
            await world.do(("wait", 100))
        await world.until_seen(viewer)


async def test_silence_is_broken_by_heartbeats(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)
    await world.append(1)
    head = (await world.store.get(NAME)).position
    seen = await take(world, Tail(0), 3)
    assert seen[1:] == [Observation(head, Heartbeat())] * 2


@pytest.mark.parametrize("kind", ["user", "complete", "clear"])
async def test_what_another_program_announces_is_asked_for_until_the_head_has_moved(world: World, kind: str) -> None:
    await world.append(1)
    viewer = Viewer()
    async with world.foreign.running(), world.watching(viewer, After("")):
        await world.until_seen(viewer)
        reads = 0
        get = world.slow_store.get

        async def counted(name: str) -> Session:
            nonlocal reads
            reads += 1
            if reads == 3:
                await world.append(1)  # It announces before it stores; reading announces what is found.
            return await get(name)

        world.slow_store.get = counted  # type: ignore[method-assign]
        world.bus.publish(NAME, Foreign(kind), 10)
        async with asyncio.timeout(60):
            while len(viewer.log) < 2:  # noqa: ASYNC110 - What is waited for is somebody else's state.
                await asyncio.sleep(0.01)
        found = reads
        await asyncio.sleep(0.7)  # Longer than the longest pause between two inquiries.
        assert reads == found
