"""The client for code without an event loop."""

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, Self, TypeVar

import grpc
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1 import session_service_pb2_grpc as api_grpc
from aichat.session.v1.session_pb2 import Message

from ai_chat_client import calls, reply_frames
from ai_chat_client.connection import Connection
from ai_chat_client.endpoint import DEFAULT_SERVER
from ai_chat_client.errors import AiChatError, closed, from_rpc, unreachable
from ai_chat_client.reconnect import SILENCE_SECONDS, LossHandler, Reconnects
from ai_chat_client.resume import MissedError, SessionProgress
from ai_chat_client.retry import Attempts, RetryPolicy
from ai_chat_client.silence import SilenceGuard
from ai_chat_client.sync_reply import SyncReplyWriter

P = ParamSpec("P")
R = TypeVar("R")
EventT = TypeVar("EventT")
EventT_co = TypeVar("EventT_co", covariant=True)


class _Stream(Protocol[EventT_co]):
    """What gRPC returns for a streaming call, as far as it is used here."""

    def __next__(self) -> EventT_co: ...
    def cancel(self) -> object: ...


def _unary(build: Callable[P, calls.Call[R]]) -> Callable[Concatenate["Client", P], R]:
    @functools.wraps(build)
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.invoke(build(*args, **kwargs))

    return method


class Client:
    """Calls the session service and blocks; safe to share between threads.

    The same as AsyncClient in every other respect, its arguments and errors included.
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
        self._policy = policy or RetryPolicy()
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._closed = False

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

    def sessions(
        self, *, query: str = "", labels: Mapping[str, str] | None = None, owner: str = "", page_size: int = 0
    ) -> Generator[model.Session, None, None]:
        """Yields all sessions, latest activity first, page by page."""
        token = ""
        while True:
            page = self.list_sessions(query=query, labels=labels, owner=owner, page_size=page_size, page_token=token)
            yield from page.sessions
            token = page.next_page_token
            if not token:
                return

    def messages(
        self, session: str, *, after_position: str = "", newest_first: bool = False, page_size: int = 0
    ) -> Generator[model.Message, None, None]:
        """As AsyncClient.messages."""
        token = ""
        while True:
            page = self.list_messages(
                session,
                after_position=after_position,
                newest_first=newest_first,
                page_size=page_size,
                page_token=token,
            )
            yield from page.messages
            token = page.next_page_token
            if not token:
                return

    def watch_session(
        self,
        session: str,
        *,
        after_position: str | None = None,
        tail: int | None = None,
        give_up_after: float | None = None,
        on_loss: LossHandler | None = None,
    ) -> Generator[api.WatchSessionResponse, None, None]:
        """As AsyncClient.watch_session; close the generator (or leave the loop and drop it) to stop watching."""
        progress = SessionProgress(session, after_position=after_position, tail=tail)
        reconnects = Reconnects(self._policy, give_up_after=give_up_after)
        while not progress.ended:
            reconnects.opening()
            try:
                stream = self._stub().WatchSession(progress.request(), metadata=self._connection.metadata())
                with contextlib.closing(self._events(stream)) as events:
                    for event in events:
                        reconnects.event()
                        yield from progress.accept(event)
                        if progress.ended:
                            return
            except MissedError as missed:
                self._wait(reconnects, unreachable(self._connection.server, f"{missed} was missed"), on_loss)
            except AiChatError as error:
                self._wait(reconnects, error, on_loss)

    def watch_sessions(
        self,
        *,
        query: str = "",
        labels: Mapping[str, str] | None = None,
        owner: str = "",
        give_up_after: float | None = None,
        on_loss: LossHandler | None = None,
    ) -> Generator[api.WatchSessionsResponse, None, None]:
        """As AsyncClient.watch_sessions."""
        request = api.WatchSessionsRequest(query=query, labels=labels, owner=owner)
        reconnects = Reconnects(self._policy, give_up_after=give_up_after)
        while True:
            reconnects.opening()
            try:
                stream = self._stub().WatchSessions(request, metadata=self._connection.metadata())
                with contextlib.closing(self._events(stream)) as events:
                    for event in events:
                        reconnects.event()
                        if not event.HasField("heartbeat"):
                            yield event
            except AiChatError as error:
                self._wait(reconnects, error, on_loss)

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
    ) -> SyncReplyWriter:
        """As AsyncClient.reply: `with client.reply("s") as reply: reply.write("...")`; see SyncReplyWriter."""
        start = reply_frames.start(
            session,
            author=author,
            model=model,
            messages=messages,
            expected_position=expected_position,
            lease=lease,
            reply_id=reply_id,
        )
        return SyncReplyWriter(
            start,
            stub=self._stub,
            connection=self._connection,
            policy=self._policy,
            translated=self._translated,
        )

    def invoke(self, call: calls.Call[R]) -> R:
        """Makes a call that `ai_chat_client.calls` described, with its deadline and its repetitions."""
        attempts = Attempts(self._policy, call.repeat)
        metadata = self._connection.metadata()
        while True:
            method = getattr(self._stub(), call.rpc)
            try:
                with self._translated():
                    response: R = method(call.request, timeout=attempts.seconds_left, metadata=metadata)
                    return response
            except AiChatError as error:
                delay = attempts.delay_after(error)
                if delay is None:
                    raise
            time.sleep(delay)

    def close(self) -> None:
        """Closes the connection; watches and calls in flight fail."""
        with self._lock:
            self._closed = True
            if self._channel is not None:
                self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _stub(self) -> api_grpc.SessionServiceStub:
        with self._lock:
            if self._closed:
                raise closed()
            if self._channel is None:
                target, options = self._connection.endpoint.target, self._connection.channel_options
                credentials = self._connection.credentials
                self._channel = (
                    grpc.insecure_channel(target, options)
                    if credentials is None
                    else grpc.secure_channel(target, credentials, options)
                )
            return api_grpc.SessionServiceStub(self._channel)

    def _events(self, stream: _Stream[EventT]) -> Generator[EventT, None, None]:
        """Yields what comes; raises when nothing has come for SILENCE_SECONDS and when the stream ends."""
        with SilenceGuard(SILENCE_SECONDS, stream.cancel) as guard:
            try:
                while True:
                    guard.waiting()
                    with self._translated():
                        event = next(stream)
                    guard.arrived()
                    yield event
            except StopIteration:
                raise unreachable(self._connection.server, "the stream ended") from None
            except AiChatError:
                if guard.fired:
                    raise unreachable(self._connection.server, f"nothing for {SILENCE_SECONDS:.0f} s") from None
                raise
            finally:
                stream.cancel()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as failure:
            raise (closed() if self._closed else from_rpc(failure, self._connection.server)) from None

    def _wait(self, reconnects: Reconnects, error: AiChatError, on_loss: LossHandler | None) -> None:
        delay = reconnects.delay_after(error)
        if on_loss is not None:
            on_loss(error)
        time.sleep(delay)
