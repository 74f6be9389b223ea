"""The domain into responses of the proto."""

from collections.abc import Iterable
from typing import Final

from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from google.protobuf.timestamp_pb2 import Timestamp

from session_svc.application.messages import MessageListing
from session_svc.application.observations import CaughtUp, Delivered, Forget, Heartbeat, Observation
from session_svc.application.sessions import SessionListing
from session_svc.application.sizes import sendable
from session_svc.application.watch_list import ListAgain, ListChange
from session_svc.domain.events import (
    Cleared,
    Deleted,
    MessagesTruncated,
    ReplyEnded,
    ReplyEvent,
    ReplyExtended,
    ReplyStarted,
    SessionChanged,
    SessionCreated,
    SessionRemoved,
    Updated,
)
from session_svc.domain.message import Message, Receipt, Role, Status
from session_svc.domain.reply import Chunk, ReplyEnd, ReplyLease, ReplySnapshot, Text
from session_svc.domain.session import Appended, Reply, Session, Snapshot, TitleSource, Truncated

ROLES: Final = {
    None: pb.ROLE_UNSPECIFIED,
    Role.USER: pb.ROLE_USER,
    Role.ASSISTANT: pb.ROLE_ASSISTANT,
    Role.SYSTEM: pb.ROLE_SYSTEM,
    Role.TOOL: pb.ROLE_TOOL,
}
STATUSES: Final = {
    Status.COMPLETE: pb.MESSAGE_STATUS_COMPLETE,
    Status.INTERRUPTED: pb.MESSAGE_STATUS_INTERRUPTED,
    Status.FAILED: pb.MESSAGE_STATUS_FAILED,
    Status.UNREADABLE: pb.MESSAGE_STATUS_UNREADABLE,
}
TITLE_SOURCES: Final = {
    TitleSource.NONE: pb.TITLE_SOURCE_UNSPECIFIED,
    TitleSource.USER: pb.TITLE_SOURCE_USER,
    TitleSource.AUTO: pb.TITLE_SOURCE_AUTO,
}


def session(known: Session) -> pb.Session:
    """One session."""
    result = pb.Session(
        name=known.name,
        title=known.title,
        title_source=TITLE_SOURCES[known.title_source],
        owner=known.owner,
        message_count=known.message_count,
        position=str(known.position),
        last_role=ROLES[known.last_role],
        preview=known.preview,
        awaiting_reply=known.awaiting_reply,
    )
    _set_time(result.create_time, known.create_time)
    _set_time(result.last_active_time, known.last_active_time)
    if known.expire_time is not None:
        _set_time(result.expire_time, known.expire_time)
    if known.ttl is not None:
        result.ttl.FromMilliseconds(known.ttl)
    if known.labels:
        result.labels.update(known.labels)
    if known.reply is not None:
        result.reply.CopyFrom(reply(known.reply))
    return result


def reply(known: Reply) -> pb.Reply:
    """A reply being written."""
    result = pb.Reply(id=known.id, author=known.author, model=known.model)
    _set_time(result.start_time, known.start_time)
    return result


def message(known: Message) -> pb.Message:
    """One message."""
    result = pb.Message(
        id=known.id,
        sequence=known.sequence,
        role=ROLES[known.role],
        content=known.content,
        author=known.author,
        model=known.model,
        status=STATUSES[known.status],
        status_reason=known.status_reason,
        attributes=known.attributes,
    )
    if known.create_time is not None:
        _set_time(result.create_time, known.create_time)
    return result


def appended(outcome: Appended) -> api.AppendMessagesResponse:
    """What a writer is told."""
    result = api.AppendMessagesResponse(position=str(outcome.position), session=session(outcome.session))
    _add_receipts(result.messages, outcome.receipts)
    return result


def truncated(outcome: Truncated) -> api.TruncateSessionResponse:
    """What was removed."""
    return api.TruncateSessionResponse(removed=map(message, outcome.removed), session=session(outcome.session))


def message_page(page: MessageListing) -> api.ListMessagesResponse:
    """A page of messages."""
    return api.ListMessagesResponse(
        messages=map(message, page.messages), next_page_token=page.next_page_token, position=str(page.head)
    )


def session_page(page: SessionListing) -> api.ListSessionsResponse:
    """A page of sessions."""
    return api.ListSessionsResponse(sessions=map(session, page.sessions), next_page_token=page.next_page_token)


def snapshot(known: Snapshot) -> api.GetSnapshotResponse:
    """A session at one moment."""
    return api.GetSnapshotResponse(
        session=session(known.session),
        messages=map(message, known.messages),
        reply=reply_snapshot(known.reply) if known.reply else None,
        position=str(known.session.position),
    )


def reply_snapshot(known: ReplySnapshot) -> api.ReplySnapshot:
    """A reply in progress, whole."""
    return api.ReplySnapshot(
        id=known.id,
        author=known.author,
        model=known.model,
        chunks=map(chunk, known.chunks),
        next_chunk=known.next_chunk,
    )


def chunk(known: Chunk) -> pb.Chunk:
    """One piece of a reply."""
    if isinstance(known, Text):
        return pb.Chunk(text=known.text)
    return pb.Chunk(part=pb.Part(type=known.type, data=known.data))


def reply_frame(told: ReplyLease | ReplyEnd) -> api.StreamReplyResponse:
    """What the writer of a reply is told."""
    frame = api.StreamReplyResponse()
    if isinstance(told, ReplyLease):
        frame.started.reply_id = told.reply_id
        frame.started.position = str(told.position)
        frame.started.accepted = told.accepted
    else:
        frame.finished.position = str(told.position)
        _add_receipts(frame.finished.messages, told.receipts)
    return frame


def stopped(kept: Message | None) -> api.StopReplyResponse:
    """What was kept of a stopped reply."""
    return api.StopReplyResponse(message=message(sendable(kept)) if kept else None)


def observation(seen: Observation) -> api.WatchSessionResponse:
    """One event of a watched session."""
    frame = api.WatchSessionResponse(position=str(seen.position) if seen.position else "")
    match seen.event:
        case Delivered(messages):
            frame.messages.messages.extend(map(message, messages))
        case ReplySnapshot() | ReplyStarted() | ReplyExtended() | ReplyEnded() as event:
            _tell_of_reply(frame, event)
        case Forget():
            frame.reset.SetInParent()
        case CaughtUp():
            frame.caught_up.SetInParent()
        case Heartbeat():
            frame.heartbeat.SetInParent()
        case Cleared():
            frame.cleared.SetInParent()
        case MessagesTruncated(keep=keep):
            frame.truncated.keep = keep
            frame.truncated.SetInParent()
        case Updated(session=known):
            frame.updated.session.CopyFrom(session(known))
        case Deleted():
            frame.deleted.SetInParent()
    return frame


def _tell_of_reply(frame: api.WatchSessionResponse, event: ReplySnapshot | ReplyEvent) -> None:
    match event:
        case ReplySnapshot():
            frame.reply_snapshot.CopyFrom(reply_snapshot(event))
        case ReplyStarted():
            begun = Reply(event.reply_id, event.author, event.model, event.start_time)
            frame.reply_started.reply.CopyFrom(reply(begun))
        case ReplyExtended():
            frame.reply_chunk.id = event.reply_id
            frame.reply_chunk.from_chunk, frame.reply_chunk.to_chunk = event.first, event.end
            frame.reply_chunk.chunks.append(chunk(event.chunk))
        case ReplyEnded():
            frame.reply_finished.id = event.reply_id
            if event.message is not None:
                frame.reply_finished.message.CopyFrom(message(event.message))


def list_change(change: ListChange) -> api.WatchSessionsResponse:
    """One change to the list of sessions."""
    frame = api.WatchSessionsResponse()
    match change:
        case ListAgain():
            frame.reset.SetInParent()
        case SessionCreated(session=known):
            frame.created.session.CopyFrom(session(known))
        case SessionChanged(session=known):
            frame.updated.session.CopyFrom(session(known))
        case SessionRemoved(name=name):
            frame.deleted.name = name
        case Heartbeat():
            frame.heartbeat.SetInParent()
    return frame


def _add_receipts(messages: RepeatedCompositeFieldContainer[pb.Message], receipts: Iterable[Receipt]) -> None:
    for receipt in receipts:
        _set_time(messages.add(id=receipt.id, sequence=receipt.sequence).create_time, receipt.create_time)


def _set_time(field: Timestamp, milliseconds: int) -> None:
    seconds, rest = divmod(milliseconds, 1000)
    field.seconds = seconds
    field.nanos = rest * 1_000_000
