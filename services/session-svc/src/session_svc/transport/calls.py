"""What surrounds every call: its request id, its caller, its errors, its place in log and metrics, and the drain.

Wraps the handlers themselves. gRPC's interceptors would add a task switch and an allocation for each of these to
every call.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from time import perf_counter
from typing import Final, Generic, NoReturn, TypeVar

import grpc
import structlog
from aichat_runtime.logs import bind_request_id

from session_svc.domain.errors import (
    Draining,
    InvalidField,
    RateLimited,
    SessionServiceError,
    StoreUnavailable,
    TooLarge,
    WatcherTooSlow,
)
from session_svc.domain.limits import REQUEST_BYTES
from session_svc.entropy import jitter
from session_svc.transport import access, caller
from session_svc.transport.caller import Caller
from session_svc.transport.errors import DETAILS_KEY, Failure, Unexpected, failure
from session_svc.transport.guard import Context, Guard
from session_svc.transport.metrics import CallMetrics
from session_svc.transport.streams import RETRY_SPREAD, Capacity, OpenStream, Streams

WRITE_SECONDS: Final = 30.0
"""How long a watcher may take to make room for one frame."""

UNARY_SECONDS: Final = 5.0
"""How much longer than the drain a unary call may take; each has limits of its own below this."""

_QUIET_SECONDS: Final = 0.1
_QUIET_LOOKS: Final = 20

Request = TypeVar("Request")
Response = TypeVar("Response")
Given = TypeVar("Given")
"""What a streaming call is given: one request as bytes, or many."""
Handler = Callable[[Request, Caller], Awaitable[Response]]
StreamHandler = Callable[[Request, Caller], AsyncGenerator[Response, None]]

_log = structlog.get_logger(__name__)


class Method(Generic[Request]):
    """A method of the service, and how its requests are read. They come as bytes: nothing is parsed for strangers."""

    def __init__(self, name: str, parse: Callable[[bytes], Request]) -> None:
        """Raises KeyError for a method that is not in the table of access."""
        self.name = name
        self.access = access.TABLE[name]
        self._parse = parse

    def read(self, data: bytes, by: Caller) -> Request:
        """A request. Raises TooLarge, InvalidField; SessionForbidden when its session is not for the caller."""
        if len(data) > REQUEST_BYTES:
            raise TooLarge("request", len(data), REQUEST_BYTES)
        try:
            request = self._parse(data)
        except Exception:  # noqa: BLE001 - Protobuf's parsers differ in what they raise; whatever it is, it is malformed.
            raise InvalidField("request", "not a message of this call") from None
        if by.sessions is not None and (session := self.access.session(request)) is not None:
            by.may_touch(session)
        return request


class Calls:
    """Every call of the process."""

    def __init__(self, metrics: CallMetrics, guard: Guard, capacity: Capacity) -> None:
        self._capacity = capacity
        self._metrics = metrics
        self._guard = guard
        self._unary = 0
        self.streams = Streams(guard, capacity.streams)
        self._draining = False
        self._drained = asyncio.Event()
        self._refused = 0

    def unary(
        self, method: Method[Request], handler: Handler[Request, Response]
    ) -> Callable[[bytes, Context], Awaitable[Response]]:
        """Wraps the handler of a call with one answer."""
        name = method.name
        numbers = self._metrics.method(name)

        async def call(data: bytes, context: Context) -> Response:
            began = perf_counter()
            request_id = _identify(context)
            status = grpc.StatusCode.CANCELLED
            self._unary += 1
            numbers.open += 1
            try:
                if self._draining or self._unary > self._capacity.calls:
                    self._refuse()
                by = await self._guard.admit(name, method.access, context)
                self._guard.data(by, len(data))
                response = await handler(method.read(data, by), by)
                status = grpc.StatusCode.OK
            except Exception as error:  # noqa: BLE001 - Every failure becomes a status here; what is a defect is logged.
                failed = _failure(error, name)
                status = failed.status
                await _abort(context, failed, request_id)
            finally:
                self._unary -= 1
                numbers.open -= 1
                seconds = perf_counter() - began
                numbers.ended(status, seconds)
                _log.debug("call", method=name, status=status.name, seconds=seconds)
                self._left()
            return response

        return call

    def stream(
        self, method: Method[Request], handler: StreamHandler[Request, Response]
    ) -> Callable[[bytes, Context], Awaitable[None]]:
        """Wraps the handler of a call with many answers."""

        def respond(data: bytes, stream: OpenStream) -> AsyncGenerator[Response, None]:
            return handler(self._read(method, data, stream), stream.caller)

        return self._streaming(method, respond)

    def conversation(
        self, method: Method[Request], handler: StreamHandler[AsyncIterator[Request], Response]
    ) -> Callable[[AsyncIterator[bytes], Context], Awaitable[None]]:
        """Wraps the handler of a call with many requests and many answers."""

        async def read(frames: AsyncIterator[bytes], stream: OpenStream) -> AsyncIterator[Request]:
            async for data in frames:
                yield self._read(method, data, stream)

        def respond(frames: AsyncIterator[bytes], stream: OpenStream) -> AsyncGenerator[Response, None]:
            return handler(read(frames, stream), stream.caller)

        return self._streaming(method, respond)

    def _streaming(
        self, method: Method[Request], respond: Callable[[Given, OpenStream], AsyncGenerator[Response, None]]
    ) -> Callable[[Given, Context], Awaitable[None]]:
        name = method.name
        numbers = self._metrics.method(name)

        async def call(given: Given, context: Context) -> None:
            began = perf_counter()
            request_id = _identify(context)
            status = grpc.StatusCode.CANCELLED
            numbers.open += 1
            try:
                if self._draining:
                    self._refuse()
                by = await self._guard.admit(name, method.access, context)
                await self._serve(OpenStream(name, method.access, by, asyncio.timeout(None)), given, respond, context)
                status = grpc.StatusCode.OK
            except Exception as error:
                if context.cancelled():
                    raise asyncio.CancelledError from error  # The watcher left while something was being written.
                failed = _failure(error, name)
                status = failed.status
                await _abort(context, failed, request_id)
            finally:
                numbers.open -= 1
                seconds = perf_counter() - began
                numbers.ended(status, seconds)
                _log.debug("call", method=name, status=status.name, seconds=seconds)
                self._left()

        return call

    async def drain(self, seconds: float) -> None:
        """Refuses new calls and lets those under way end; streams are ended at random moments within `seconds`.

        Returns when none is left, or a little after `seconds` with those that do not end.
        """
        self._draining = True
        self.streams.drain(seconds)
        self._left()
        try:
            async with asyncio.timeout(seconds + UNARY_SECONDS):
                await self._drained.wait()
        except TimeoutError:
            _log.warning("calls_cut_off", unary=self._unary, streams=len(self.streams))
        # gRPC cancels what arrives while it shuts down, so callers are told to go elsewhere until they have gone.
        for _ in range(_QUIET_LOOKS):
            refused = self._refused
            await asyncio.sleep(_QUIET_SECONDS)
            if self._refused == refused:
                break

    def _refuse(self) -> NoReturn:
        if self._draining:
            self._refused += 1
            raise Draining(jitter(RETRY_SPREAD))
        raise RateLimited(f"{self._capacity.calls} calls are under way here; try again", 1.0)

    def _read(self, method: Method[Request], data: bytes, stream: OpenStream) -> Request:
        self._guard.data(stream.caller, len(data))
        request = method.read(data, stream.caller)
        stream.session = method.access.session(request) or stream.session
        return request

    async def _serve(
        self,
        stream: OpenStream,
        given: Given,
        respond: Callable[[Given, OpenStream], AsyncGenerator[Response, None]],
        context: Context,
    ) -> None:
        """Writes every response, until they end or the stream is ended from outside."""
        try:
            async with stream.until:
                with self.streams.counted(stream):
                    async with aclosing(respond(given, stream)) as responses:
                        async for response in responses:
                            await _write(context, response)
        except TimeoutError:
            if stream.reason is not None and stream.until.expired():
                raise stream.reason from None
            raise

    def _left(self) -> None:
        if self._draining and not self._unary and not self.streams:
            self._drained.set()


def _identify(context: Context) -> str:
    """Finds or makes the call's request id, and puts it on every line it logs."""
    request_id = caller.request_id(caller.value(context.invocation_metadata(), caller.REQUEST_ID_KEY))
    bind_request_id(request_id)
    context.set_trailing_metadata(((caller.REQUEST_ID_KEY, request_id),))
    return request_id


def _failure(error: Exception, method: str) -> Failure:
    """How `error` travels; says in the log what went wrong."""
    if not isinstance(error, SessionServiceError):
        _log.error("call_defect", method=method, exc_info=error)
        return failure(Unexpected())
    failed = failure(error)
    log = _log.warning if isinstance(error, StoreUnavailable) else _log.info
    log("call_failed", method=method, status=failed.status.name, reason=failed.reason)
    return failed


async def _abort(context: Context, failed: Failure, request_id: str) -> NoReturn:
    await context.abort(
        failed.status, failed.text, ((DETAILS_KEY, failed.details), (caller.REQUEST_ID_KEY, request_id))
    )


async def _write(context: Context, response: object) -> None:
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            await context.write(response)
    except TimeoutError:
        raise WatcherTooSlow from None
