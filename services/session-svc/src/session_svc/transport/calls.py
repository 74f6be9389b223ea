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
from aichat_runtime.memory import MemoryGuard

from session_svc.domain.errors import Draining, InvalidField, SessionServiceError, StoreUnavailable, TooLarge
from session_svc.domain.limits import REQUEST_BYTES
from session_svc.entropy import jitter
from session_svc.transport import caller
from session_svc.transport.access import Access
from session_svc.transport.caller import Caller
from session_svc.transport.capacity import Capacity, Patience
from session_svc.transport.errors import DETAILS_KEY, Failure, PlainFailure, Unexpected, failure
from session_svc.transport.guard import Context, Guard
from session_svc.transport.metrics import CallMetrics
from session_svc.transport.open_calls import OpenCalls
from session_svc.transport.relief import Relief
from session_svc.transport.streams import RETRY_SPREAD, OpenStream, Streams

UNARY_SECONDS: Final = 5.0
"""How much longer than the drain a unary call may take."""

_QUIET_SECONDS: Final = 0.1
_QUIET_LOOKS: Final = 20

Request = TypeVar("Request")
Response = TypeVar("Response")
Handler = Callable[[Request, Caller], Awaitable[Response]]
StreamHandler = Callable[[Request, Caller], AsyncGenerator[Response, None]]
Responder = Callable[[AsyncIterator[bytes], OpenStream, Context], Awaitable[AsyncGenerator[Response, None]]]

_log = structlog.get_logger(__name__)


class Method(Generic[Request]):
    """A method of the service, and how its requests are read. They come as bytes: nothing is parsed for strangers."""

    def __init__(self, name: str, access: Access | None, parse: Callable[[bytes], Request]) -> None:
        """Without `access` it is open to all."""
        self.name = name
        self.access = access
        self._parse = parse

    def read(self, data: bytes, by: Caller) -> Request:
        """A request. Raises TooLarge, InvalidField; SessionForbidden when its session is not for the caller."""
        if len(data) > REQUEST_BYTES:
            raise TooLarge("request", len(data), REQUEST_BYTES)
        try:
            request = self._parse(data)
        except Exception:  # noqa: BLE001 - Protobuf's parsers differ in what they raise; whatever it is, it is malformed.
            raise InvalidField("request", "not a message of this call") from None
        if by.sessions is not None and (session := self.session(request)) is not None:
            by.may_touch(session)
        return request

    def session(self, request: Request) -> str | None:
        """The name of the session that `request` is about; None: about none in particular."""
        return self.access.session(request) if self.access is not None else None


class Calls:
    """Every call of the process."""

    def __init__(
        self, metrics: CallMetrics, guard: Guard, memory: MemoryGuard, capacity: Capacity, patience: Patience
    ) -> None:
        self._metrics = metrics
        self._guard = guard
        self._unary = OpenCalls(guard, capacity.calls, patience, self._left)
        self._visits = OpenCalls(guard, capacity.calls, patience, self._left)
        """Of what is open to all: whether a full server is healthy must be heard."""
        self.streams = Streams(guard, capacity.streams, patience, self._left)
        self.relief = Relief(memory, (self._unary, self._visits), self.streams)
        self._draining = False
        self._drained = asyncio.Event()
        self._refused = 0

    def unary(
        self, method: Method[Request], handler: Handler[Request, Response]
    ) -> Callable[[object, Context], Awaitable[Response]]:
        """Wraps the handler of a call with one answer."""
        name, access = method.name, method.access
        numbers = self._metrics.method(name)
        calls = self._unary if access is not None else self._visits

        async def call(_: object, context: Context) -> Response:
            began = perf_counter()
            request_id = _identify(context)
            status = grpc.StatusCode.CANCELLED
            numbers.open += 1
            try:
                by = self._meet(access, context)
                open_call = calls.begin(access, by)
                await self._guard.admit(name, access, by)
                data = await open_call.request(context)
                self._count(access, by, data)
                response = await handler(method.read(data, by), by)
                open_call.answered()
                status = grpc.StatusCode.OK
            except Exception as error:  # noqa: BLE001 - Every failure becomes a status here; what is a defect is logged.
                failed = _failure(error, name)
                status = failed.status
                await _abort(context, failed, request_id)
            finally:
                numbers.open -= 1
                seconds = perf_counter() - began
                numbers.ended(status, seconds)
                _log.debug("call", method=name, status=status.name, seconds=seconds)
            return response

        return call

    def stream(
        self, method: Method[Request], handler: StreamHandler[Request, Response]
    ) -> Callable[[AsyncIterator[bytes], Context], Awaitable[None]]:
        """Wraps the handler of a call with many answers."""

        async def respond(
            _: AsyncIterator[bytes], stream: OpenStream, context: Context
        ) -> AsyncGenerator[Response, None]:
            return handler(self._read(method, await stream.first(context), stream), stream.caller)

        return self._streaming(method, respond)

    def conversation(
        self, method: Method[Request], handler: StreamHandler[AsyncIterator[Request], Response]
    ) -> Callable[[AsyncIterator[bytes], Context], Awaitable[None]]:
        """Wraps the handler of a call with many requests and many answers."""

        async def read(frames: AsyncIterator[bytes], stream: OpenStream) -> AsyncIterator[Request]:
            async for data in frames:
                yield self._read(method, data, stream)

        async def respond(
            frames: AsyncIterator[bytes], stream: OpenStream, _: Context
        ) -> AsyncGenerator[Response, None]:
            return handler(read(frames, stream), stream.caller)

        return self._streaming(method, respond)

    def _streaming(
        self, method: Method[Request], respond: Responder[Response]
    ) -> Callable[[AsyncIterator[bytes], Context], Awaitable[None]]:
        name, access = method.name, method.access
        numbers = self._metrics.method(name)

        async def call(frames: AsyncIterator[bytes], context: Context) -> None:
            began = perf_counter()
            request_id = _identify(context)
            status = grpc.StatusCode.CANCELLED
            stream: OpenStream | None = None
            numbers.open += 1
            try:
                by = self._meet(access, context)
                await self._guard.admit(name, access, by)
                stream = self.streams.begin(name, access, by)
                await _serve(stream, frames, respond, context)
                status = grpc.StatusCode.OK
            except Exception as error:  # noqa: BLE001 - As above.
                failed = _failure(error, name)
                status = failed.status
                if stream is not None:
                    stream.last_words()
                await _abort(context, failed, request_id)
            finally:
                numbers.open -= 1
                seconds = perf_counter() - began
                numbers.ended(status, seconds)
                _log.debug("call", method=name, status=status.name, seconds=seconds)

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
            _log.warning("calls_cut_off", unary=len(self._unary), streams=len(self.streams))
        # gRPC cancels what arrives while it shuts down, so callers are told to go elsewhere until they have gone.
        for _ in range(_QUIET_LOOKS):
            refused = self._refused
            await asyncio.sleep(_QUIET_SECONDS)
            if self._refused == refused:
                break

    def _meet(self, access: Access | None, context: Context) -> Caller:
        """Who calls. Raises Draining, RateLimited; what is open to all tells by its answer how this server is."""
        if access is not None:
            if self._draining:
                self._refused += 1
                raise Draining(jitter(RETRY_SPREAD))
            self.relief.check()
        return self._guard.meet(context)

    def _count(self, access: Access | None, by: Caller, data: bytes) -> None:
        if access is not None:
            self._guard.data(by, len(data))

    def _read(self, method: Method[Request], data: bytes, stream: OpenStream) -> Request:
        self._count(method.access, stream.caller, data)
        request = method.read(data, stream.caller)
        stream.session = method.session(request) or stream.session
        return request

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
    if isinstance(error, PlainFailure):
        return Failure(error.status, "", str(error), b"")
    if not isinstance(error, SessionServiceError):
        _log.error("call_defect", method=method, exc_info=error)
        return failure(Unexpected())
    failed = failure(error)
    log = _log.warning if isinstance(error, StoreUnavailable) else _log.info
    log("call_failed", method=method, status=failed.status.name, reason=failed.reason)
    return failed


async def _serve(
    stream: OpenStream, frames: AsyncIterator[bytes], respond: Responder[Response], context: Context
) -> None:
    """Writes every response, until they end or the stream is ended from outside."""
    try:
        async with aclosing(await respond(frames, stream, context)) as responses:
            async for response in responses:
                await stream.write(context, response)
    except asyncio.CancelledError:
        stream.interrupted()
        raise


async def _abort(context: Context, failed: Failure, request_id: str) -> NoReturn:
    trailers = ((DETAILS_KEY, failed.details), (caller.REQUEST_ID_KEY, request_id))
    try:
        await context.abort(failed.status, failed.text, trailers)
    except grpc.aio.InternalError:
        raise asyncio.CancelledError from None  # The client has left.
