"""The service of the proto: each call into its use case and back."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from google.protobuf.empty_pb2 import Empty

from session_svc.application import places
from session_svc.application.messages import Messages
from session_svc.application.replies import Replies
from session_svc.application.sessions import Sessions
from session_svc.application.watch import SessionWatch
from session_svc.application.watch_list import ListWatch
from session_svc.domain import limits
from session_svc.domain.errors import InvalidField
from session_svc.storage.base import Expected
from session_svc.transport import checks, reply_requests, requests, responses
from session_svc.transport.caller import Caller

_Conditional = (
    api.DeleteSessionRequest | api.ClearSessionRequest | api.TruncateSessionRequest | api.AppendMessagesRequest
)

START_SECONDS: Final = 10.0
"""How long a stream may be open before its first frame."""


class SessionServicer:
    """One method for each call of the proto. Raises failures of the domain; `Calls` makes statuses of them."""

    def __init__(
        self,
        sessions: Sessions,
        messages: Messages,
        replies: Replies,
        session_watch: SessionWatch,
        list_watch: ListWatch,
    ) -> None:
        self._sessions = sessions
        self._messages = messages
        self._replies = replies
        self._session_watch = session_watch
        self._list_watch = list_watch

    async def create_session(self, request: api.CreateSessionRequest, by: Caller) -> pb.Session:
        name = checks.name(request.name) if request.name else ""
        new = requests.new_session(request, by.name)
        created = await self._sessions.create(name, new, allow_existing=request.allow_existing, permitted=by.may_touch)
        return responses.session(created)

    async def get_session(self, request: api.GetSessionRequest, _: Caller) -> pb.Session:
        return responses.session(await self._sessions.get(checks.name(request.name)))

    async def list_sessions(self, request: api.ListSessionsRequest, by: Caller) -> api.ListSessionsResponse:
        page = await self._sessions.list(
            requests.session_filter(request, by.sessions),
            page_size=checks.page_size(request.page_size, limits.DEFAULT_SESSIONS_PAGE),
            page_token=request.page_token,
        )
        return responses.session_page(page)

    async def update_session(self, request: api.UpdateSessionRequest, _: Caller) -> pb.Session:
        name, change = checks.name(request.name), requests.session_change(request)
        return responses.session(await self._sessions.update(name, change))

    async def delete_session(self, request: api.DeleteSessionRequest, _: Caller) -> Empty:
        await self._sessions.delete(
            checks.name(request.name), allow_missing=request.allow_missing, expected=_expected(request)
        )
        return Empty()

    async def clear_session(self, request: api.ClearSessionRequest, _: Caller) -> pb.Session:
        return responses.session(await self._messages.clear(checks.name(request.name), expected=_expected(request)))

    async def truncate_session(self, request: api.TruncateSessionRequest, _: Caller) -> api.TruncateSessionResponse:
        name = checks.name(request.name)
        keep, remove_last = requests.extent(request)
        outcome = await self._messages.truncate(name, keep=keep, remove_last=remove_last, expected=_expected(request))
        return responses.truncated(outcome)

    async def append_messages(self, request: api.AppendMessagesRequest, by: Caller) -> api.AppendMessagesResponse:
        outcome = await self._messages.append(
            checks.name(request.session, "session"),
            by.signed(requests.new_messages(request.messages), "messages"),
            request_id=checks.characters(request.request_id, limits.REQUEST_ID_CHARACTERS, "request_id"),
            expected=_expected(request),
            require_existing=request.require_existing,
            author=by.name,
        )
        return responses.appended(outcome)

    async def list_messages(self, request: api.ListMessagesRequest, _: Caller) -> api.ListMessagesResponse:
        page = await self._messages.list(
            checks.name(request.session, "session"),
            page_size=checks.page_size(request.page_size, limits.DEFAULT_MESSAGES_PAGE),
            page_token=request.page_token,
            after_position=request.after_position,
            newest_first=request.newest_first,
        )
        return responses.message_page(page)

    async def get_snapshot(self, request: api.GetSnapshotRequest, _: Caller) -> api.GetSnapshotResponse:
        tail = checks.count(request.tail, 0, limits.SNAPSHOT_TAIL, "tail")
        return responses.snapshot(await self._messages.snapshot(checks.name(request.session, "session"), tail=tail))

    async def stop_reply(self, request: api.StopReplyRequest, _: Caller) -> api.StopReplyResponse:
        name, reply_id = checks.name(request.session, "session"), checks.identifier(request.reply_id, "reply_id")
        return responses.stopped(await self._replies.stop(name, reply_id))

    async def stream_reply(
        self, frames: AsyncIterator[api.StreamReplyRequest], by: Caller
    ) -> AsyncGenerator[api.StreamReplyResponse, None]:
        start = reply_requests.reply_start(await _first(frames), by)
        async with aclosing(self._replies.write(start, reply_requests.reply_frames(frames, by))) as outcomes:
            async for outcome in outcomes:
                yield responses.reply_frame(outcome)

    async def watch_session(
        self, request: api.WatchSessionRequest, _: Caller
    ) -> AsyncGenerator[api.WatchSessionResponse, None]:
        name, start = checks.name(request.session, "session"), requests.watch_start(request)
        async with aclosing(self._session_watch.watch(name, start)) as observations:
            async for observation in observations:
                yield responses.observation(observation)

    async def watch_sessions(
        self, request: api.WatchSessionsRequest, by: Caller
    ) -> AsyncGenerator[api.WatchSessionsResponse, None]:
        async with aclosing(self._list_watch.watch(requests.session_filter(request, by.sessions))) as changes:
            async for change in changes:
                yield responses.list_change(change)


async def _first(frames: AsyncIterator[api.StreamReplyRequest]) -> api.StreamReplyRequest:
    try:
        async with asyncio.timeout(START_SECONDS):
            return await anext(frames)
    except TimeoutError:
        raise InvalidField("start", f"none came within {START_SECONDS:.0f} s; send it at once") from None
    except StopAsyncIteration:
        raise InvalidField("start", "missing; it is the first frame of a stream") from None


def _expected(request: _Conditional) -> Expected:
    return places.expected(request.expected_position if request.HasField("expected_position") else None)
