"""The client for asyncio."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_pb2 import Message

from ai_chat_client import calls, reply_frames
from ai_chat_client.channels import Channels
from ai_chat_client.connection import Connection
from ai_chat_client.endpoint import DEFAULT_SERVER
from ai_chat_client.errors import AiChatError, closed, from_rpc, unreachable
from ai_chat_client.reconnect import SILENCE_SECONDS, LossHandler, Reconnects
from ai_chat_client.reply import ReplyWriter
from ai_chat_client.resume import MissedError, SessionProgress
from ai_chat_client.retry import Attempts, RetryPolicy

P = ParamSpec("P")
R = TypeVar("R")
EventT = TypeVar("EventT")


def _unary(
    build: Callable[P, calls.Call[R]],
) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, R]]:
    @functools.wraps(build)
    async def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.invoke(build(*args, **kwargs))

    return method


class AsyncClient:
    """Calls the session service; use it in any event loop, share it between tasks, close it at the end.

    `server`: HOST:PORT, http://HOST:PORT, https://HOST[:PORT] or a gRPC target. `token`: sent with every call; over
    plaintext to another machine only when `insecure`. `tls_ca`: a PEM file of the authorities to trust instead of the
    usual ones. `tls`: overrides the rule that loopback and http:// are plaintext and anything else is TLS. `author`:
    who calls; the owner of sessions that its calls create where there are no tokens. ConfigurationError (a ValueError)
    when these do not fit together.

    Every method raises a subclass of AiChatError and nothing else.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        token: str | None = None,
        tls_ca: str | Path | None = None,
        author: str | None = None,
        tls: bool | None = None,
        insecure: bool = False,
        policy: RetryPolicy | None = None,
    ) -> None:
        self._connection = Connection(server, token=token, tls_ca=tls_ca, author=author, tls=tls, insecure=insecure)
        self._channels = Channels(self._connection)
        self._policy = policy or RetryPolicy()

    create_session = _unary(calls.create_session)
    get_session = _unary(calls.get_session)
    list_sessions = _unary(calls.list_sessions)
    update_session = _unary(calls.update_session)
    delete_session = _unary(calls.delete_session)
    clear_session = _unary(calls.clear_session)
    truncate_session = _unary(calls.truncate_session)
    append_messages = _unary(calls.append_messages)
    list_messages = _unary(calls.list_messages)
    get_snapshot = _unary(calls.get_snapshot)
    stop_reply = _unary(calls.stop_reply)

    async def sessions(
        self, *, query: str = "", labels: Mapping[str, str] | None = None, owner: str = "", page_size: int = 0
    ) -> AsyncGenerator[model.Session, None]:
        """Yields all sessions, latest activity first, page by page."""
        token = ""
        while True:
            page = await self.list_sessions(
                query=query, labels=labels, owner=owner, page_size=page_size, page_token=token
            )
            for session in page.sessions:
                yield session
            token = page.next_page_token
            if not token:
                return

    async def messages(
        self, session: str, *, after_position: str = "", newest_first: bool = False, page_size: int = 0
    ) -> AsyncGenerator[model.Message, None]:
        """Yields all messages, oldest first unless `newest_first`, page by page.

        ConflictError (POSITION_CONFLICT) when the session is cleared or shortened meanwhile.
        """
        token = ""
        while True:
            page = await self.list_messages(
                session,
                after_position=after_position,
                newest_first=newest_first,
                page_size=page_size,
                page_token=token,
            )
            for message in page.messages:
                yield message
            token = page.next_page_token
            if not token:
                return

    async def watch_session(
        self,
        session: str,
        *,
        after_position: str | None = None,
        tail: int | None = None,
        give_up_after: float | None = None,
        on_loss: LossHandler | None = None,
    ) -> AsyncGenerator[api.WatchSessionResponse, None]:
        """Yields what is in a session, then what happens in it. Heartbeats are not passed on. Ends after `deleted`.

        Begins after `after_position` ("": with the first message), or with the last `tail` messages, or with what comes
        next. A lost connection is replaced and the watch goes on where it was: every message comes once, in order.
        After each replacement `caught_up` comes again, preceded by `reply_snapshot` when a reply is being written,
        which replaces what was seen of it; a message whose id is a reply's ends that reply. `reset` means: forget the
        session, all of it follows.

        Raises AiChatError when no first connection can be had, when trying again would not help, and when there has
        been no connection for `give_up_after` seconds (None: once connected, it tries for ever; math.inf: from the
        first attempt on). `on_loss` is told of each loss.
        """
        progress = SessionProgress(session, after_position=after_position, tail=tail)
        reconnects = Reconnects(self._policy, give_up_after=give_up_after)
        while not progress.ended:
            reconnects.opening()
            call = self._channels.stub().WatchSession(progress.request(), metadata=self._connection.metadata())
            events = aiter(call)
            try:
                while not progress.ended:
                    event = await self._next(events)
                    reconnects.event()
                    for news in progress.accept(event):
                        yield news
            except MissedError as missed:
                await self._wait(reconnects, unreachable(self._connection.server, f"{missed} was missed"), on_loss)
            except AiChatError as error:
                await self._wait(reconnects, error, on_loss)
            finally:
                call.cancel()

    async def watch_sessions(
        self,
        *,
        query: str = "",
        labels: Mapping[str, str] | None = None,
        owner: str = "",
        give_up_after: float | None = None,
        on_loss: LossHandler | None = None,
    ) -> AsyncGenerator[api.WatchSessionsResponse, None]:
        """Yields changes to the list of sessions. Opens with `reset`, which comes again after any loss: list after it.

        Connections are replaced, and failures raised, as by `watch_session`. Heartbeats are not passed on.
        """
        request = api.WatchSessionsRequest(query=query, labels=labels, owner=owner)
        reconnects = Reconnects(self._policy, give_up_after=give_up_after)
        while True:
            reconnects.opening()
            call = self._channels.stub().WatchSessions(request, metadata=self._connection.metadata())
            events = aiter(call)
            try:
                while True:
                    event = await self._next(events)
                    reconnects.event()
                    if not event.HasField("heartbeat"):
                        yield event
            except AiChatError as error:
                await self._wait(reconnects, error, on_loss)
            finally:
                call.cancel()

    def reply(
        self,
        session: str,
        *,
        author: str = "",
        model: str = "",
        messages: Iterable[Message] = (),
        expected_position: str | None = None,
        lease: timedelta | None = None,
        reply_id: str = "",
    ) -> ReplyWriter:
        """Writes a reply: `async with client.reply("s") as reply: await reply.write("...")`; see ReplyWriter.

        `messages`: the user's turn, stored in the step that takes the session's reply slot. `lease`: how long the slot
        outlives a lost writer, 1 to 60 s (default 15 s). Entering the block raises ConflictError (REPLY_IN_PROGRESS,
        POSITION_CONFLICT) or NotFoundError (no session, and no messages to create it with).
        """
        start = reply_frames.start(
            session,
            author=author,
            model=model,
            messages=messages,
            expected_position=expected_position,
            lease=lease,
            reply_id=reply_id,
        )
        return ReplyWriter(
            start,
            channels=self._channels,
            connection=self._connection,
            policy=self._policy,
            translated=self._translated,
        )

    async def invoke(self, call: calls.Call[R]) -> R:
        """Makes a call that `ai_chat_client.calls` described, with its deadline and its repetitions."""
        attempts = Attempts(self._policy, call.repeat)
        metadata = self._connection.metadata()
        while True:
            method = getattr(self._channels.stub(), call.rpc)
            try:
                with self._translated():
                    response: R = await method(call.request, timeout=attempts.seconds_left, metadata=metadata)
                    return response
            except AiChatError as error:
                delay = attempts.delay_after(error)
                if delay is None:
                    raise
            await asyncio.sleep(delay)

    async def close(self) -> None:
        """Closes all connections; watches and calls in flight fail."""
        await self._channels.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def _next(self, stream: AsyncIterator[EventT]) -> EventT:
        """The next event; an error when there is none within SILENCE_SECONDS, or ever."""
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                with self._translated():
                    return await anext(stream)
        except StopAsyncIteration:
            raise unreachable(self._connection.server, "the stream ended") from None
        except TimeoutError:
            raise unreachable(self._connection.server, f"nothing for {SILENCE_SECONDS:.0f} s") from None

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as failure:
            raise from_rpc(failure, self._connection.server) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled the caller: its channel was closed.
            raise closed() from None

    async def _wait(self, reconnects: Reconnects, error: AiChatError, on_loss: LossHandler | None) -> None:
        delay = reconnects.delay_after(error)
        if on_loss is not None:
            on_loss(error)
        await asyncio.sleep(delay)
