"""Storage against a simple model of it, over operations that nobody thought of."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

from contract.backend import Backend, OpenBackend, next_of
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from session_svc.bus.base import Gap
from session_svc.domain.errors import PositionConflict, RequestIdReused, SessionExists, SessionNotFound
from session_svc.domain.events import (
    Cleared,
    Deleted,
    Foreign,
    ListEvent,
    MessageAppended,
    MessagesTruncated,
    Reset,
    SessionEvent,
    SessionRemoved,
    Updated,
)
from session_svc.domain.message import Message, NewMessage, Receipt, Role
from session_svc.domain.position import Position
from session_svc.domain.session import Appended, NewSession, Session, SessionChange
from session_svc.storage.base import EMPTY, Append, Expected

Result = TypeVar("Result")

NAMES = ["a", "b", "c"]
NOWHERE = Position("zzzzzzzz0000", 1)


@dataclass
class Model:
    """What is expected of one session."""

    contents: list[str] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)
    title: str = ""
    awaiting: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    requests: dict[str, tuple[Append, Position, tuple[Receipt, ...]]] = field(default_factory=dict)
    position: Position = NOWHERE

    def take(self, append: Append, appended: Appended) -> None:
        """Does what an append does."""
        for message in append.messages:
            self.contents.append(message.content)
            self.roles.append(message.role)
            if message.role in (Role.USER, Role.ASSISTANT):
                self.awaiting = message.role is Role.USER
        said = [message.content for message in append.messages if message.role is Role.USER]
        if said and not self.title:
            self.title = first_line(said[0])
        if append.request_id:
            self.requests[append.request_id] = (append, appended.position, appended.receipts)


@dataclass
class Follower:
    """Whoever knows a session by its events alone."""

    log: list[Message] = field(default_factory=list)
    head: Position | None = None

    def follow(self, event: SessionEvent) -> None:
        """Does what an event says."""
        match event:
            case MessageAppended(position, message):
                if self.head is None or position.epoch != self.head.epoch:
                    self.log.clear()
                assert position.sequence == message.sequence == len(self.log) + 1
                self.log.append(message)
                self.head = position
            case Cleared(position):
                self.log.clear()
                self.head = position
            case MessagesTruncated(position, keep):
                assert position.sequence == keep
                del self.log[keep:]
                self.head = position
            case Updated(position):
                if self.head is not None and position.epoch == self.head.epoch:
                    assert position == self.head
                self.head = position
            case Deleted():
                self.log.clear()
                self.head = None
            case Reset() | Foreign():
                raise AssertionError(f"nobody else writes here: {event}")


class StorageMachine(RuleBasedStateMachine):
    """Operations on three sessions. A subclass says which backend: `open_backend`."""

    open_backend: ClassVar[OpenBackend]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.models: dict[str, Model] = {}
        self.epochs: dict[str, str] = {}
        self.bodies = itertools.count(1)
        self.followers = {name: Follower() for name in NAMES}
        self.run(self.open())

    def run(self, step: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(step)

    async def open(self) -> None:
        self.backend: Backend = await self.stack.enter_async_context(type(self).open_backend())
        self.events: dict[str, AsyncIterator[SessionEvent | Gap]] = {
            name: await self.stack.enter_async_context(self.backend.bus.session(name)) for name in NAMES
        }
        self.changes: AsyncIterator[ListEvent | Gap] = await self.stack.enter_async_context(self.backend.bus.sessions())

    def teardown(self) -> None:
        try:
            self.run(self.check_followers())
        finally:
            self.run(self.stack.aclose())
            self.runner.close()

    def expected(self, name: str, guess: str) -> tuple[Expected, bool]:
        """What a writer expects of the head, and whether it is right."""
        model = self.models.get(name)
        match guess:
            case "anything":
                return None, True
            case "empty":
                return EMPTY, model is None or not model.contents
            case "head" if model:
                return model.position, True
            case _:
                return NOWHERE, False

    guesses = st.sampled_from(["anything"] * 4 + ["empty", "head", "nowhere"])
    names = st.sampled_from(NAMES)

    @rule(
        name=names,
        messages=st.lists(
            st.tuples(st.sampled_from(list(Role)), st.text(max_size=20), st.sampled_from(["", '{"a": 1.0}'])),
            min_size=1,
            max_size=4,
        ),
        guess=guesses,
        request_id=st.sampled_from(["", "", "r1", "r2"]),
        same_body=st.booleans(),
        require_existing=st.booleans(),
    )
    def append(
        self,
        name: str,
        messages: list[tuple[Role, str, str]],
        guess: str,
        request_id: str,
        same_body: bool,
        require_existing: bool,
    ) -> None:
        expected, agrees = self.expected(name, guess)
        new = [
            NewMessage(role, content, id=f"i{index}", attributes=attributes)
            for index, (role, content, attributes) in enumerate(messages)
        ]
        fingerprint = f"body{next(self.bodies)}"
        append = Append(name, new, request_id, fingerprint, expected=expected, require_existing=require_existing)
        model = self.models.get(name)
        answered = model.requests.get(request_id) if model and request_id else None
        if answered and same_body:
            again = self.run(self.backend.history.append(replace(answered[0], expected=expected)))
            assert (again.position, again.receipts) == answered[1:]
            self.settled(name, again.session, fresh=False)
        elif answered:
            self.refused(self.backend.history.append(append), RequestIdReused)
        elif model is None and require_existing:
            self.refused(self.backend.history.append(append), SessionNotFound)
        elif not agrees:
            self.refused(self.backend.history.append(append), PositionConflict)
        else:
            appended = self.run(self.backend.history.append(append))
            self.models.setdefault(name, Model()).take(append, appended)
            self.settled(name, appended.session, fresh=model is None)

    @rule(name=names, title=st.sampled_from(["", "mine"]), allow_existing=st.booleans())
    def create(self, name: str, title: str, allow_existing: bool) -> None:
        call = self.backend.store.create(name, NewSession(title=title), allow_existing=allow_existing)
        if name not in self.models:
            self.models[name] = Model(title=title)
            self.settled(name, self.run(call), fresh=True)
        elif allow_existing:
            self.settled(name, self.run(call), fresh=False)
        else:
            self.refused(call, SessionExists)

    @rule(name=names, labels=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3))
    def label(self, name: str, labels: dict[str, str]) -> None:
        call = self.backend.store.update(name, SessionChange(labels=labels))
        if name not in self.models:
            self.refused(call, SessionNotFound)
        else:
            self.models[name].labels = labels
            self.settled(name, self.run(call), fresh=False)

    @rule(name=names, title=st.sampled_from(["", "other"]))
    def retitle(self, name: str, title: str) -> None:
        call = self.backend.store.update(name, SessionChange(title=title))
        model = self.models.get(name)
        if model is None:
            self.refused(call, SessionNotFound)
        else:
            said = [content for role, content in zip(model.roles, model.contents, strict=True) if role is Role.USER]
            model.title = title or (first_line(said[0]) if said else "")
            self.settled(name, self.run(call), fresh=False)

    @rule(name=names, guess=guesses)
    def clear(self, name: str, guess: str) -> None:
        expected, agrees = self.expected(name, guess)
        call = self.backend.history.clear(name, expected=expected)
        if self.may(name, agrees, call):
            self.cut(name, 0)
            self.models[name].awaiting = False
            self.settled(name, self.run(call), fresh=True)

    @rule(name=names, keep=st.integers(0, 5), by_keep=st.booleans(), guess=guesses)
    def truncate(self, name: str, keep: int, by_keep: bool, guess: str) -> None:
        expected, agrees = self.expected(name, guess)
        extent = {"keep": keep} if by_keep else {"remove_last": keep + 1}
        call = self.backend.history.truncate(name, expected=expected, **extent)
        if self.may(name, agrees, call):
            model = self.models[name]
            left = min(len(model.contents), keep) if by_keep else max(0, len(model.contents) - keep - 1)
            gone = model.contents[left:]
            truncated = self.run(call)
            assert [message.content for message in truncated.removed] == gone
            if gone:
                self.cut(name, left)
                model.awaiting = bool(model.roles) and model.roles[-1] is Role.USER
            self.settled(name, truncated.session, fresh=bool(gone))

    @rule(name=names, guess=guesses)
    def delete(self, name: str, guess: str) -> None:
        expected, agrees = self.expected(name, guess)
        call = self.backend.store.delete(name, expected=expected)
        if self.may(name, agrees, call):
            self.run(call)
            del self.models[name]

    @rule(start=st.integers(1, 6), limit=st.integers(1, 4), newest_first=st.booleans(), name=names)
    def page(self, start: int, limit: int, newest_first: bool, name: str) -> None:
        call = self.backend.history.page(name, start=start, limit=limit, newest_first=newest_first)
        model = self.models.get(name)
        if model is None:
            self.refused(call, SessionNotFound)
        elif start > len(model.contents) + 1:
            self.refused(call, PositionConflict)
        else:
            page = self.run(call)
            end = min(start, len(model.contents))
            wanted = model.contents[:end][::-1] if newest_first else model.contents[start - 1 :]
            assert [message.content for message in page.messages] == wanted[:limit]
            assert page.more is (len(wanted) > limit)
            assert page.head == model.position

    @invariant()
    def every_session_is_what_the_model_says(self) -> None:
        listed = self.run(self.backend.listed(limit=2))
        assert {session.name for session in listed} == set(self.models)
        for session in listed:
            model = self.models[session.name]
            assert session.position == model.position
            assert session.title == model.title
            assert session.labels == model.labels
            assert session.awaiting_reply is model.awaiting
            assert session.preview == (model.contents[-1] if model.contents else "")
            assert session.last_role is (model.roles[-1] if model.roles else None)
            log = self.run(self.backend.log(session.name))
            assert [(message.role, message.content) for message in log] == list(
                zip(model.roles, model.contents, strict=True)
            )

    def may(self, name: str, agrees: bool, call: Coroutine[Any, Any, object]) -> bool:
        """Whether `call` goes through; otherwise it has been seen refused."""
        if name not in self.models:
            self.refused(call, SessionNotFound)
        elif not agrees:
            self.refused(call, PositionConflict)
        else:
            return True
        return False

    def refused(self, call: Coroutine[Any, Any, object], error: type[Exception]) -> None:
        try:
            self.run(call)
        except error:
            return
        raise AssertionError(f"it should have been refused with {error.__name__}")

    def cut(self, name: str, left: int) -> None:
        model = self.models[name]
        del model.contents[left:]
        del model.roles[left:]

    def settled(self, name: str, session: Session, *, fresh: bool) -> None:
        """Takes over the head after a step; `fresh`: it must have begun a greater epoch."""
        model = self.models[name]
        epoch = session.position.epoch
        assert session.message_count == len(model.contents)
        if fresh:
            assert epoch > self.epochs.get(name, "")
        else:
            assert epoch == self.epochs[name]
        self.epochs[name] = epoch
        model.position = session.position

    async def check_followers(self) -> None:
        """Whoever followed the events knows every log as it is, and the list."""
        for name, events in self.events.items():
            mark = await self.backend.history.append(Append(name, [NewMessage(Role.SYSTEM, "mark", id="mark")]))
            follower = self.followers[name]
            while follower.head != mark.position:
                event = await next_of(events)
                assert not isinstance(event, Gap)
                follower.follow(event)
            assert follower.log == await self.backend.log(name)
        known: dict[str, Session] = {}
        listed = {session.name: session for session in await self.backend.listed()}
        while known != listed:
            change = await next_of(self.changes)
            assert not isinstance(change, Gap)
            if isinstance(change, SessionRemoved):
                del known[change.name]
            else:
                known[change.session.name] = change.session


def first_line(content: str) -> str:
    """The automatic title, said another way than the code does."""
    for line in content.replace("\r", "\n").split("\n"):
        begun = line.lstrip(" \t\v\f")
        if begun:
            return begun[:60]
    return ""


model_settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],  # To explain, it would trace every line.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""Enough to find what is wrong in seconds, also over a network; raise max_examples to hunt."""
