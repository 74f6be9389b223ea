"""The frames of a reply's writer into the domain, every limit checked.

Not checked here: the size of a delta and of the reply, because exceeding it ends the reply, which is the store's step.
"""

from collections.abc import AsyncIterator, Sequence

from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api

from session_svc.application import places
from session_svc.application.replies import Fail, Finish, Frame, Renew
from session_svc.domain import limits
from session_svc.domain.errors import InvalidField
from session_svc.domain.message import NewMessage
from session_svc.domain.reply import Part, ReplyStart, Text
from session_svc.entropy import unique_id
from session_svc.transport import checks
from session_svc.transport.caller import Caller
from session_svc.transport.requests import new_message


def reply_start(request: api.StreamReplyRequest, by: Caller) -> ReplyStart:
    """The first frame, of a caller who owns the session if this creates it."""
    if request.WhichOneof("frame") != "start":
        raise InvalidField("frame", "the first frame of a stream is start, also when a reply is resumed")
    start = request.start
    messages = _messages(start.messages, "start.messages", by)
    author = checks.characters(start.author, limits.AUTHOR_CHARACTERS, "start.author")
    return ReplyStart(
        session=checks.name(start.session, "start.session"),
        reply_id=checks.identifier(start.reply_id, "start.reply_id") or unique_id(),
        writer_key=checks.characters(start.writer_key, limits.ID_CHARACTERS, "start.writer_key"),
        author=by.signature(author, "start.author"),
        model=checks.characters(start.model, limits.AUTHOR_CHARACTERS, "start.model"),
        lease=checks.lease(start.lease, "start.lease") if start.HasField("lease") else limits.LEASE_DEFAULT_MS,
        messages=messages,
        expected=places.expected(start.expected_position if start.HasField("expected_position") else None),
        owner=by.name or (messages[0].author if messages else ""),
    )


async def reply_frames(requests: AsyncIterator[api.StreamReplyRequest], by: Caller) -> AsyncIterator[Frame]:
    """The frames after the first, as they come."""
    async for request in requests:
        yield _frame(request, by)


def _frame(request: api.StreamReplyRequest, by: Caller) -> Frame:
    match request.WhichOneof("frame"):
        case "delta":
            return Text(request.delta.text)
        case "part":
            return _part(request.part)
        case "renew":
            return Renew()
        case "finish":
            return Finish(
                checks.json_object(request.finish.attributes, limits.ATTRIBUTES_BYTES, "finish.attributes"),
                _messages(request.finish.messages, "finish.messages", by),
            )
        case "fail":
            return Fail(
                checks.characters(request.fail.reason, limits.STATUS_REASON_CHARACTERS, "fail.reason"),
                checks.json_object(request.fail.attributes, limits.ATTRIBUTES_BYTES, "fail.attributes"),
            )
        case "start":
            raise InvalidField("start", "this stream has begun a reply already; open another stream for another one")
        case _:
            raise InvalidField("frame", "missing; set start, delta, part, renew, finish or fail")


def _part(part: pb.Part) -> Part:
    if not part.data:
        raise InvalidField("part.data", "missing; send a JSON object as text")
    return Part(checks.part_type(part.type, "part.type"), checks.json_object(part.data, limits.PART_BYTES, "part.data"))


def _messages(given: Sequence[pb.Message], field: str, by: Caller) -> tuple[NewMessage, ...]:
    if len(given) > limits.MESSAGES_PER_APPEND:
        raise InvalidField(field, f"{len(given)} messages; send up to {limits.MESSAGES_PER_APPEND}")
    return tuple(by.signed([new_message(message, f"{field}[{place}].") for place, message in enumerate(given)], field))
