"""Where a watch of one session is: what to ask for next, and what of an answer is new.

Pure: the clients read the stream and feed each event in. Whatever the moment at which a stream breaks, the events that
come out across all streams are those of one unbroken stream, but for `caught_up`, which comes again.
"""

from collections.abc import Callable, Iterator

from aichat.session.v1 import session_service_pb2 as api

from ai_chat_client.position import Position

_Handler = Callable[[api.WatchSessionResponse], Iterator[api.WatchSessionResponse]]


class MissedError(Exception):
    """The stream skipped something: it must be opened again at the last position."""


class SessionProgress:
    """What a watcher of one session has seen. One object for the life of the watch."""

    def __init__(self, session: str, *, after_position: str | None = None, tail: int | None = None) -> None:
        if after_position is not None and tail is not None:
            raise ValueError("give after_position or tail, not both")
        self._session = session
        self._tail = tail
        self._seen = after_position
        self._at = Position.parse(after_position or "")
        self._reply: str | None = None
        self._next_chunk = 0
        self._reply_confirmed = False
        self.ended = False
        """Whether the session was deleted, so that there is nothing more to watch."""
        self._handlers: dict[str, _Handler] = {
            "reset": self._reset,
            "messages": self._messages,
            "reply_snapshot": self._reply_snapshot,
            "caught_up": self._caught_up,
            "reply_started": self._reply_started,
            "reply_chunk": self._reply_chunk,
            "reply_finished": self._reply_finished,
            "cleared": self._emptied,
            "truncated": self._emptied,
            "deleted": self._deleted,
        }

    def request(self) -> api.WatchSessionRequest:
        """What to ask for on the next stream."""
        self._reply_confirmed = False
        if self._seen is not None:
            return api.WatchSessionRequest(session=self._session, after_position=self._seen)
        if self._tail is not None:
            return api.WatchSessionRequest(session=self._session, tail=self._tail)
        return api.WatchSessionRequest(session=self._session)

    def accept(self, event: api.WatchSessionResponse) -> Iterator[api.WatchSessionResponse]:
        """Yields what is new in `event`, and remembers it; raises MissedError when something before it is missing."""
        kind = event.WhichOneof("event")
        handler = self._handlers.get(kind) if kind else None
        if handler is not None:
            yield from handler(event)
        elif kind not in {None, "heartbeat"}:
            yield event

    def _messages(self, event: api.WatchSessionResponse) -> Iterator[api.WatchSessionResponse]:
        head = Position.parse(event.position)
        if head is None:
            yield event
            return
        fresh = [message for message in event.messages.messages if self._is_new(head.epoch, message.sequence)]
        if not fresh:
            return
        self._expect(head.epoch, fresh[0].sequence)
        # During a replay the head is ahead of this event's last message; what has been seen is the message.
        self._move(str(Position(head.epoch, fresh[-1].sequence)))
        if any(message.id == self._reply for message in fresh):
            self._reply = None
        if len(fresh) < len(event.messages.messages):
            event = api.WatchSessionResponse(position=event.position, messages=api.WatchMessages(messages=fresh))
        yield event

    def _reply_finished(self, event: api.WatchSessionResponse) -> Iterator[api.WatchSessionResponse]:
        finished = event.reply_finished
        head = Position.parse(event.position)
        if finished.HasField("message") and head is not None:
            if not self._is_new(head.epoch, finished.message.sequence):
                return
            self._expect(head.epoch, finished.message.sequence)
            self._move(str(Position(head.epoch, finished.message.sequence)))
        elif finished.id != self._reply:
            return
        self._reply = None
        yield event

    def _reply_chunk(self, event: api.WatchSessionResponse) -> Iterator[api.WatchSessionResponse]:
        chunk = event.reply_chunk
        if not chunk.id:
            yield event  # A draft of another program's, which has no numbers.
            return
        if chunk.id != self._reply or chunk.from_chunk > self._next_chunk:
            raise MissedError(f"chunk {chunk.from_chunk} of reply {chunk.id}")
        if chunk.from_chunk < self._next_chunk:
            if chunk.to_chunk <= self._next_chunk:
                return
            raise MissedError(f"chunk {self._next_chunk} of reply {chunk.id} within another")
        self._next_chunk = chunk.to_chunk
        yield event

    def _caught_up(self, event: api.WatchSessionResponse) -> Iterator[api.WatchSessionResponse]:
        head = Position.parse(event.position)
        if head and self._at and head.epoch == self._at.epoch and head.sequence > self._at.sequence:
            raise MissedError(f"message {self._at.sequence + 1}")
        self._move(event.position)
        if not self._reply_confirmed:
            yield from self._end_unseen(event.position)
        yield event

    def _reset(self, event: api.WatchSessionResponse) -> Iterator[api.WatchSessionResponse]:
        # All messages follow: until they have come, the next stream must begin with the first one.
        self._reply = None
        at = Position.parse(event.position)
        self._move(str(Position(at.epoch, 0)) if at else event.position)
        yield event

    def _emptied(self, event: api.WatchSessionResponse) -> Iterator[api.WatchSessionResponse]:
        self._reply = None
        self._move(event.position)
        yield event

    def _deleted(self, event: api.WatchSessionResponse) -> Iterator[api.WatchSessionResponse]:
        self.ended = True
        yield event

    def _reply_snapshot(self, event: api.WatchSessionResponse) -> Iterator[api.WatchSessionResponse]:
        snapshot = event.reply_snapshot
        if snapshot.id != self._reply:
            yield from self._end_unseen(event.position)
        self._begin(snapshot.id, snapshot.next_chunk)
        yield event

    def _reply_started(self, event: api.WatchSessionResponse) -> Iterator[api.WatchSessionResponse]:
        self._begin(event.reply_started.reply.id, 0)
        yield event

    def _end_unseen(self, position: str) -> Iterator[api.WatchSessionResponse]:
        """The end of a reply that ended, without a message of its id, while there was no stream."""
        if self._reply is not None:
            finished = api.WatchReplyFinished(id=self._reply)
            self._reply = None
            yield api.WatchSessionResponse(position=position, reply_finished=finished)

    def _begin(self, reply: str, next_chunk: int) -> None:
        self._reply, self._next_chunk, self._reply_confirmed = reply, next_chunk, True

    def _is_new(self, epoch: str, sequence: int) -> bool:
        return self._at is None or self._at.epoch != epoch or sequence > self._at.sequence

    def _expect(self, epoch: str, sequence: int) -> None:
        if self._at is not None and self._at.epoch == epoch:
            expected = self._at.sequence + 1
        elif self._seen == "":
            expected = 1
        else:
            return
        if sequence != expected:
            raise MissedError(f"message {expected}")

    def _move(self, position: str) -> None:
        self._seen, self._at = position, Position.parse(position)
