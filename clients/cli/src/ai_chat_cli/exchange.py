"""One's own message and the answer to it, told from the events of the watched session."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Answer:
    """How the waiting for an answer ended. `message`: the answer; None: there is none, and `why` says why not."""

    message: model.Message | None = None
    why: str = ""


class Exchange:
    """Give it every event of the session, from before one's first message on, and the answer to each append.

    The answer to a message is the first ASSISTANT message after it that is not the end of a reply which had begun
    before it; a reply that begins after it is that answer while it is being written. Which began first is told by the
    order of events; where a lost connection hides the beginning, by the append, whose answer names the reply that was
    being written in that very step. `mine`: the id of the reply in progress, when it answers a message of one's own;
    None otherwise.
    """

    def __init__(self) -> None:
        self.mine: str | None = None
        self._question = ""
        self._asked_at = 0
        self._keep: int | None = None
        self._unanswered = False
        self._current: str | None = None
        self._earlier: str | None = None
        # Replies that had begun before one's last message, and before the first of those that are not answered yet.
        self._before_last: str | None = None
        self._before_first: str | None = None
        self._is_one_more = False
        self._beside: model.Message | None = None
        self._asked_before = False
        self._begun = asyncio.Event()
        self._received = asyncio.Event()
        self._received.set()
        self._answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._handlers: dict[str, Callable[[api.WatchSessionResponse], None]] = {
            "messages": self._messages,
            "reply_started": self._reply_started,
            "reply_snapshot": self._reply_snapshot,
            "reply_finished": self._reply_finished,
            "reset": self._reset,
            "caught_up": self._caught_up,
            "truncated": self._truncated,
            "cleared": lambda _: self._gone("the session was cleared"),
            "deleted": lambda _: self._gone("the session was deleted"),
        }

    @property
    def expected(self) -> bool:
        """Whether something was asked and no answer to it has ended yet."""
        return not self._answer.done() and (bool(self._question) or self._keep is not None or bool(self._asked_at))

    def ask(self, message_id: str) -> None:
        """A message of one's own with this id is about to be sent."""
        self._is_one_more = self._unanswered
        self._expect()
        self._question = message_id
        self._received.clear()

    def sent(self, answer: api.AppendMessagesResponse) -> None:
        """It was received, and this was the answer."""
        reply = answer.session.reply if answer.session.HasField("reply") else None
        # A repeated append tells the session as it is now, so that a reply may have begun after the message.
        is_earlier = reply is not None and (
            reply.start_time.ToMilliseconds() <= answer.messages[-1].create_time.ToMilliseconds()
        )
        self._before_last = reply.id if reply is not None and is_earlier else None
        if not self._is_one_more:
            self._before_first = self._before_last
        self._received.set()

    def ask_again(self, keep: int) -> None:
        """The session is about to be shortened to the question that is its message number `keep`."""
        self._expect()
        self._keep = keep

    def waits(self, sequence: int) -> None:
        """The question that is message number `sequence` waits already."""
        self._expect()
        self._open(sequence)

    def withdraw(self) -> None:
        """It was not sent: no answer is expected."""
        self._question, self._keep = "", None
        self._received.set()
        self._end(Answer(why="nothing was asked"))

    async def take(self, event: api.WatchSessionResponse) -> None:
        """As `see`, but what may hide the beginning of a reply waits until it is known what the append was answered."""
        asked = any(message.id == self._question for message in event.messages.messages)
        if asked or event.HasField("reply_snapshot"):
            await self._received.wait()
        self.see(event)

    def see(self, event: api.WatchSessionResponse) -> None:
        """One event, in the order in which they come."""
        handler = self._handlers.get(event.WhichOneof("event") or "")
        if handler is not None:
            handler(event)

    async def begins(self, seconds: float) -> bool:
        """Whether an answer begins, or can no longer be expected, within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._begun.wait()
        except TimeoutError:
            return False
        return True

    async def answer(self) -> Answer:
        """How it ends. The service ends every reply that has begun."""
        return await asyncio.shield(self._answer)

    def _expect(self) -> None:
        self._question, self._keep, self._asked_at = "", None, 0
        self._begun.clear()
        if self._answer.done():
            self._answer = asyncio.get_running_loop().create_future()

    def _messages(self, event: api.WatchSessionResponse) -> None:
        for message in event.messages.messages:
            self._message(message)

    def _message(self, message: model.Message) -> None:
        if message.id == self._question:
            self._open(message.sequence)
        elif message.role != model.ROLE_ASSISTANT:
            return
        elif self._current is None:
            if message.id and message.id == self._before_last:
                return
            self._unanswered = False
            if self._asked_at:
                self._end(Answer(message))
        elif message.id == self._current:
            self._reply_over(message)
        else:
            self._beside = message  # A reply may be stored as several messages; which is the last, its end tells.

    def _reply_over(self, message: model.Message | None) -> None:
        said = message or self._beside
        answers = self._current != self._earlier
        self._current = self.mine = self._beside = None
        if self._asked_at and answers:
            self._end(Answer(said) if said else Answer(why="the reply was ended, and nothing of it is kept"))

    def _open(self, sequence: int) -> None:
        self._asked_at, self._unanswered = sequence, True
        self._earlier = self._current

    def _reply_started(self, event: api.WatchSessionResponse) -> None:
        self._begin(event.reply_started.reply.id)

    def _reply_snapshot(self, event: api.WatchSessionResponse) -> None:
        self._begin(event.reply_snapshot.id)

    def _begin(self, reply: str) -> None:
        if reply == self._current:
            return
        self._current = reply
        self.mine = reply if self._unanswered and reply != self._before_first else None
        if reply == self._before_last:
            self._earlier = reply
            return
        self._unanswered = False
        if self._asked_at:
            self._begun.set()

    def _reply_finished(self, event: api.WatchSessionResponse) -> None:
        finished = event.reply_finished
        message = finished.message if finished.HasField("message") else None
        if finished.id == self._current:
            self._reply_over(message)
        elif message is not None:
            self._message(message)

    def _truncated(self, event: api.WatchSessionResponse) -> None:
        keep = event.truncated.keep
        if keep == self._keep:
            self._keep = self._current = self.mine = None
            self._open(keep)
        elif keep < self._asked_at:
            self._gone("the question was removed")

    def _reset(self, _: api.WatchSessionResponse) -> None:
        # All messages follow; what was asked may be among them.
        self._current = self.mine = None
        self._asked_before, self._asked_at = bool(self._asked_at), 0

    def _caught_up(self, _: api.WatchSessionResponse) -> None:
        if self._asked_before and not self._asked_at:
            self._end(Answer(why="the session was changed elsewhere, and the question is not in it any more"))
        self._asked_before = False

    def _gone(self, why: str) -> None:
        self._current = self.mine = None
        self._unanswered = False
        if self._asked_at:
            self._end(Answer(why=why))

    def _end(self, answer: Answer) -> None:
        self._question, self._asked_at = "", 0
        self._begun.set()
        if not self._answer.done():
            self._answer.set_result(answer)
