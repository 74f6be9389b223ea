"""The unary calls of the API: their arguments, and whether each may be repeated.

Both clients take their methods from here, so a call is described once.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api
from google.protobuf import duration_pb2, empty_pb2, field_mask_pb2
from google.protobuf.message import Message as ProtoMessage

from ai_chat_client.retry import Repeat

ResponseT_co = TypeVar("ResponseT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Call(Generic[ResponseT_co]):
    """One call: the RPC's name, its request, and whether it may be repeated. The type parameter is the response."""

    rpc: str
    request: ProtoMessage
    repeat: Repeat


def create_session(
    name: str = "",
    *,
    title: str = "",
    ttl: timedelta | None = None,
    labels: Mapping[str, str] | None = None,
    allow_existing: bool = False,
) -> Call[model.Session]:
    """Creates a session; without `name` the server makes one up. `ttl` 0: never expires; None: the server's default.

    `allow_existing`: when the name is taken, returns that session and restarts its inactivity clock; else ConflictError
    (SESSION_EXISTS). Repeated by itself only with a name and `allow_existing`: otherwise a repetition could create a
    second session, or report the caller's own as taken.
    """
    request = api.CreateSessionRequest(
        name=name, title=title, ttl=duration(ttl), labels=labels, allow_existing=allow_existing
    )
    return Call("CreateSession", request, Repeat.ALWAYS if name and allow_existing else Repeat.IF_REFUSED)


def get_session(name: str) -> Call[model.Session]:
    """Returns one session. NotFoundError (SESSION_NOT_FOUND)."""
    return Call("GetSession", api.GetSessionRequest(name=name), Repeat.ALWAYS)


def list_sessions(
    *,
    page_size: int = 0,
    page_token: str = "",
    query: str = "",
    labels: Mapping[str, str] | None = None,
    owner: str = "",
) -> Call[api.ListSessionsResponse]:
    """Returns one page of sessions, latest activity first; `sessions` goes through all pages."""
    request = api.ListSessionsRequest(
        page_size=page_size, page_token=page_token, query=query, labels=labels, owner=owner
    )
    return Call("ListSessions", request, Repeat.ALWAYS)


def update_session(
    name: str,
    *,
    title: str | None = None,
    ttl: timedelta | None = None,
    labels: Mapping[str, str] | None = None,
    update_mask: Iterable[str] | None = None,
) -> Call[model.Session]:
    """Changes title ("": automatic again), ttl (0: never expires) or labels (all are replaced).

    Without `update_mask` what is not None changes; `update_mask=["ttl"]` without ttl goes back to the server's default.
    Never repeated by itself: it could undo what someone else changed meanwhile.
    """
    given = {"title": title, "ttl": ttl, "labels": labels}
    paths = [field for field, value in given.items() if value is not None] if update_mask is None else list(update_mask)
    request = api.UpdateSessionRequest(
        name=name,
        title=title or "",
        ttl=duration(ttl),
        labels=labels,
        update_mask=field_mask_pb2.FieldMask(paths=paths),
    )
    return Call("UpdateSession", request, Repeat.NEVER)


def delete_session(
    name: str, *, allow_missing: bool = False, expected_position: str | None = None
) -> Call[empty_pb2.Empty]:
    """Deletes a session with all its messages. NotFoundError unless `allow_missing`, ConflictError (POSITION_CONFLICT).

    Repeated by itself only with `allow_missing` and an `expected_position` that is not empty: without them a repetition
    could report a success as a failure, or delete what someone else created under the name meanwhile.
    """
    request = api.DeleteSessionRequest(name=name, allow_missing=allow_missing, expected_position=expected_position)
    return Call("DeleteSession", request, Repeat.ALWAYS if allow_missing and expected_position else Repeat.IF_REFUSED)


def clear_session(name: str, *, expected_position: str | None = None) -> Call[model.Session]:
    """Removes all messages; title, owner, labels and ttl stay. ConflictError (POSITION_CONFLICT). Never repeated."""
    return Call("ClearSession", api.ClearSessionRequest(name=name, expected_position=expected_position), Repeat.NEVER)


def truncate_session(
    name: str, *, keep: int | None = None, remove_last: int | None = None, expected_position: str | None = None
) -> Call[api.TruncateSessionResponse]:
    """Removes the last messages: keeps the first `keep`, or removes `remove_last`. ValueError unless one is given.

    ConflictError (POSITION_CONFLICT). Never repeated.
    """
    request = api.TruncateSessionRequest(name=name, expected_position=expected_position)
    if keep is not None and remove_last is None:
        request.keep = keep
    elif remove_last is not None and keep is None:
        request.remove_last = remove_last
    else:
        raise ValueError("give keep or remove_last")
    return Call("TruncateSession", request, Repeat.NEVER)


def append_messages(
    session: str,
    messages: Iterable[model.Message],
    *,
    request_id: str | None = None,
    expected_position: str | None = None,
    require_existing: bool = False,
) -> Call[api.AppendMessagesResponse]:
    """Appends 1 to 1000 messages in one step, in order, once: creates the session unless `require_existing`.

    `request_id`: the same one with the same messages changes nothing and returns the first answer; one is made up when
    it is None, so that repeating after a broken connection is safe. `expected_position`: append only while this is the
    head ("": only while there are no messages), else ConflictError (POSITION_CONFLICT).
    """
    request = api.AppendMessagesRequest(
        session=session,
        messages=messages,
        request_id=request_id or uuid.uuid4().hex,
        expected_position=expected_position,
        require_existing=require_existing,
    )
    return Call("AppendMessages", request, Repeat.ALWAYS)


def list_messages(
    session: str,
    *,
    page_size: int = 0,
    page_token: str = "",
    after_position: str = "",
    newest_first: bool = False,
) -> Call[api.ListMessagesResponse]:
    """Returns one page of messages, oldest first unless `newest_first`; `messages` goes through all pages."""
    request = api.ListMessagesRequest(
        session=session,
        page_size=page_size,
        page_token=page_token,
        after_position=after_position,
        newest_first=newest_first,
    )
    return Call("ListMessages", request, Repeat.ALWAYS)


def get_snapshot(session: str, *, tail: int = 0) -> Call[api.GetSnapshotResponse]:
    """Returns the session, its newest `tail` messages and the reply in progress, all of one moment."""
    return Call("GetSnapshot", api.GetSnapshotRequest(session=session, tail=tail), Repeat.ALWAYS)


def stop_reply(session: str, *, reply_id: str = "") -> Call[api.StopReplyResponse]:
    """Ends the reply in progress; only `reply_id`, when given. NotFoundError (REPLY_NOT_FOUND).

    Without `reply_id` never repeated by itself: it could stop the next reply.
    """
    request = api.StopReplyRequest(session=session, reply_id=reply_id)
    return Call("StopReply", request, Repeat.ALWAYS if reply_id else Repeat.NEVER)


def duration(span: timedelta | None) -> duration_pb2.Duration | None:
    """As the API writes a span of time; None: unset."""
    if span is None:
        return None
    result = duration_pb2.Duration()
    result.FromTimedelta(span)
    return result
