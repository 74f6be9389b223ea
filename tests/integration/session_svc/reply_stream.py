"""A writer's stream of one reply, frame by frame."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub
from google.protobuf.duration_pb2 import Duration

SECONDS = 60


def start(session: str, reply_id: str = "r", *, lease: int = 5, **fields: Any) -> api.StreamReplyRequest:  # noqa: ANN401 - passed on, and checked there.
    """The first frame; `fields` are those of ReplyStart."""
    fields = {"writer_key": "key", "author": "bot", **fields}
    frame = api.ReplyStart(session=session, reply_id=reply_id, lease=Duration(seconds=lease), **fields)
    return api.StreamReplyRequest(start=frame)


def delta(text: str) -> api.StreamReplyRequest:
    """Answer text."""
    return api.StreamReplyRequest(delta=api.ReplyDelta(text=text))


def part(data: str = "{}", type: str = "source") -> api.StreamReplyRequest:  # noqa: A002 - The field's name.
    """What is not answer text."""
    return api.StreamReplyRequest(part=pb.Part(type=type, data=data))


def finish(**fields: Any) -> api.StreamReplyRequest:  # noqa: ANN401 - passed on, and checked there.
    """The end; `fields` are those of ReplyFinish."""
    return api.StreamReplyRequest(finish=api.ReplyFinish(**fields))


RENEW = api.StreamReplyRequest(renew=api.ReplyRenew())


class ReplyStream:
    """One open StreamReply."""

    def __init__(self, stub: SessionServiceStub, first: api.StreamReplyRequest | None) -> None:
        self._frames: queue.SimpleQueue[api.StreamReplyRequest | None] = queue.SimpleQueue()
        if first is not None:
            self._frames.put(first)
        self.call = stub.StreamReply(iter(self._frames.get, None), timeout=SECONDS)

    def send(self, *frames: api.StreamReplyRequest) -> None:
        """Sends frames."""
        for frame in frames:
            self._frames.put(frame)

    def close(self) -> None:
        """Says that no more frames will come."""
        self._frames.put(None)

    def started(self) -> api.ReplyStarted:
        """Waits for the slot. Raises RpcError."""
        answer = next(self.call)
        assert answer.WhichOneof("frame") == "started", answer
        return answer.started

    def finished(self) -> api.ReplyFinished:
        """Waits for the end. Raises RpcError."""
        answer = next(self.call)
        assert answer.WhichOneof("frame") == "finished", answer
        return answer.finished


@contextmanager
def writing(stub: SessionServiceStub, first: api.StreamReplyRequest | None) -> Iterator[ReplyStream]:
    """A stream with its first frame, gone at the end as when its writer dies."""
    stream = ReplyStream(stub, first)
    try:
        yield stream
    finally:
        stream.call.cancel()
        stream.close()
