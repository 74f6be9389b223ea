"""One session and its watchers, small enough to be obviously right: what the resuming client is held against."""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Literal

import grpc
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api
from google.protobuf.message import Message as ProtoMessage

from .scripted import Context

Op = Literal["append", "append2", "clear", "truncate", "start", "chunk", "finish", "finish empty"]
OPS: tuple[Op, ...] = ("append", "append2", "clear", "truncate", "start", "chunk", "finish", "finish empty")


@dataclass
class Stream:
    """What befalls one stream: how many operations happen before it opens, after how many events it breaks."""

    missed_ops: int = 0
    cut_after: int | None = None


@dataclass
class World:
    """A session that lives through `ops`, then is deleted; the n-th stream is treated as `streams[n]` says."""

    ops: deque[Op]
    streams: deque[Stream]
    replay_positions_are_the_head: bool = False
    messages: list[model.Message] = field(default_factory=list)
    epoch: int = 1
    reply: str | None = None
    chunks: list[str] = field(default_factory=list)
    replies: int = 0
    texts: int = 0

    @property
    def head(self) -> str:
        return f"e{self.epoch}.{len(self.messages)}"

    async def watch(
        self, request: api.WatchSessionRequest, context: Context
    ) -> AsyncIterator[api.WatchSessionResponse]:
        """WatchSession, broken off where the plan says so."""
        stream = self.streams.popleft() if self.streams else Stream()
        for _ in range(min(stream.missed_ops, len(self.ops))):
            list(self.apply(self.ops.popleft()))
        for sent, event in enumerate(self._events(request)):
            if sent == stream.cut_after:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
            yield event

    def apply(self, op: Op) -> Iterator[api.WatchSessionResponse]:
        """Does it and yields what a live watcher is told, one event at a time."""
        if op in {"append", "append2"}:
            new = [self._new_message() for _ in range(2 if op == "append2" else 1)]
            yield self._event(messages=api.WatchMessages(messages=new))
        elif op in {"clear", "truncate"}:
            kept = 0 if op == "clear" else max(0, len(self.messages) - 1)
            del self.messages[kept:]
            self.epoch += 1
            ended, self.reply = self.reply, None
            if ended is not None:
                yield self._event(reply_finished=api.WatchReplyFinished(id=ended))
            if op == "clear":
                yield self._event(cleared=api.WatchCleared())
            else:
                yield self._event(truncated=api.WatchTruncated(keep=kept))
        elif op == "start" and self.reply is None:
            self.replies += 1
            self.reply, self.chunks = f"r{self.replies}", []
            yield self._event(reply_started=api.WatchReplyStarted(reply=model.Reply(id=self.reply)))
        elif op == "chunk" and self.reply is not None:
            at = len(self.chunks)
            self.texts += 1
            self.chunks.append(f"c{self.texts} ")
            chunk = model.Chunk(text=self.chunks[-1])
            yield self._event(
                reply_chunk=api.WatchReplyChunk(id=self.reply, from_chunk=at, to_chunk=at + 1, chunks=[chunk])
            )
        elif op in {"finish", "finish empty"} and self.reply is not None:
            finished, self.reply = api.WatchReplyFinished(id=self.reply), None
            if op == "finish":
                finished.message.CopyFrom(self._new_message(finished.id, "".join(self.chunks)))
            yield self._event(reply_finished=finished)

    def _events(self, request: api.WatchSessionRequest) -> Iterator[api.WatchSessionResponse]:
        yield from self._replay(request)
        yield self._event(heartbeat=api.WatchHeartbeat())
        while self.ops:
            yield from self.apply(self.ops.popleft())
        yield self._event(deleted=api.WatchDeleted())

    def _replay(self, request: api.WatchSessionRequest) -> Iterator[api.WatchSessionResponse]:
        first = len(self.messages)
        if request.WhichOneof("start") == "tail":
            first = max(0, len(self.messages) - request.tail)
        elif request.WhichOneof("start") == "after_position":
            epoch, _, sequence = request.after_position.rpartition(".")
            first = int(sequence or 0)
            if epoch and (epoch != f"e{self.epoch}" or first > len(self.messages)):
                first = 0
                yield self._event(reset=api.WatchReset())
        for start in range(first, len(self.messages), 2):
            batch = self.messages[start : start + 2]
            last = len(self.messages) if self.replay_positions_are_the_head else batch[-1].sequence
            yield api.WatchSessionResponse(position=f"e{self.epoch}.{last}", messages=api.WatchMessages(messages=batch))
        if self.reply is not None:
            joined = [model.Chunk(text="".join(self.chunks))] if self.chunks else []
            yield self._event(
                reply_snapshot=api.ReplySnapshot(id=self.reply, chunks=joined, next_chunk=len(self.chunks))
            )
        yield self._event(caught_up=api.WatchCaughtUp())

    def _new_message(self, id_: str = "", content: str = "") -> model.Message:
        self.texts += 1
        new = model.Message(
            id=id_ or f"m{self.texts}", sequence=len(self.messages) + 1, content=content or f"text {self.texts}"
        )
        self.messages.append(new)
        return new

    def _event(self, **event: ProtoMessage) -> api.WatchSessionResponse:
        return api.WatchSessionResponse(position=self.head, **event)  # type: ignore[arg-type]  # One of its events.


@dataclass
class Viewer:
    """What someone who follows the events believes; fails at the first gap or double."""

    messages: list[model.Message] = field(default_factory=list)
    reply: str | None = None
    text: str = ""
    next_chunk: int = 0
    deleted: bool = False

    def see(self, event: api.WatchSessionResponse) -> None:
        kind = event.WhichOneof("event")
        if kind == "messages":
            for message in event.messages.messages:
                self._append(message)
        elif kind in {"reset", "cleared"}:
            self.messages, self.reply = [], None
        elif kind == "truncated":
            self.messages = [message for message in self.messages if message.sequence <= event.truncated.keep]
            self.reply = None
        elif kind == "deleted":
            self.deleted = True
        elif kind != "caught_up":
            self._see_reply(event)

    def _see_reply(self, event: api.WatchSessionResponse) -> None:
        match event.WhichOneof("event"):
            case "reply_started":
                assert self.reply is None, "a reply began in another"
                self.reply, self.text, self.next_chunk = event.reply_started.reply.id, "", 0
            case "reply_snapshot":
                snapshot = event.reply_snapshot
                assert self.reply in {None, snapshot.id}, "a reply ended unseen"
                self.reply, self.next_chunk = snapshot.id, snapshot.next_chunk
                self.text = "".join(chunk.text for chunk in snapshot.chunks)
            case "reply_chunk":
                assert event.reply_chunk.id == self.reply
                assert event.reply_chunk.from_chunk == self.next_chunk, "a chunk twice, or left out"
                self.text += "".join(chunk.text for chunk in event.reply_chunk.chunks)
                self.next_chunk = event.reply_chunk.to_chunk
            case "reply_finished":
                assert event.reply_finished.id == self.reply, "the end of a reply that is none"
                self.reply = None
                if event.reply_finished.HasField("message"):
                    self._append(event.reply_finished.message)
            case other:
                raise AssertionError(f"an event that no viewer knows: {other}")

    def _append(self, message: model.Message) -> None:
        if self.messages:
            assert message.sequence == self.messages[-1].sequence + 1, "a message twice, or left out"
        self.messages.append(message)
        if message.id == self.reply:
            self.reply = None
