"""What surrounds every call: its request id, its errors, its place in log and metrics, and the drain.

Wraps the handlers themselves. gRPC's interceptors would add a task switch and an allocation for each of these to
every call.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, NoReturn, TypeVar

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
from session_svc.transport import caller
from session_svc.transport.errors import DETAILS_KEY, Failure, TooManyStreams, Unexpected, failure
from session_svc.transport.metrics import CallMetrics

MAX_CALLS: Final = 10_000
"""Unary calls under way at once, in one process."""
MAX_STREAMS: Final = 10_000
WRITE_SECONDS: Final = 30.0
"""How long a watcher may take to make room for one frame."""

UNARY_SECONDS: Final = 5.0
"""How much longer than the drain a unary call may take; each has limits of its own below this."""

_QUIET_SECONDS: Final = 0.1
_QUIET_LOOKS: Final = 20
_RETRY_SPREAD: Final = 2.0

Request = TypeVar("Request")
Response = TypeVar("Response")
Context = grpc.aio.ServicerContext[Any, Any]
Handler = Callable[[Request, Context], Awaitable[Response]]
StreamHandler = Callable[[Request, Context], AsyncGenerator[Response, None]]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Refused:
    """Stands for a request that was not read, and why."""

    error: SessionServiceError


def reader(parse: Callable[[bytes], Request]) -> Callable[[bytes], Request | Refused]:
    """Reads requests with `parse`, but those that are too large or malformed into a Refused."""

    def read(data: bytes) -> Request | Refused:
        if len(data) > REQUEST_BYTES:
            return Refused(TooLarge("request", len(data), REQUEST_BYTES))
        try:
            return parse(data)
        except Exception:  # noqa: BLE001 - Protobuf's parsers differ in what they raise; whatever it is, it is malformed.
            return Refused(InvalidField("request", "not a message of this call"))

    return read


class Calls:
    """Every call of the process."""

    def __init__(self, metrics: CallMetrics) -> None:
        self._metrics = metrics
        self._unary = 0
        self._streams: set[asyncio.Timeout] = set()
        self._draining = False
        self._drained = asyncio.Event()
        self._refused = 0

    def unary(self, name: str, handler: Handler[Request, Response]) -> Handler[Request | Refused, Response]:
        """Wraps the handler of a call with one answer."""
        numbers = self._metrics.method(name)

        async def call(request: Request | Refused, context: Context) -> Response:
            began = perf_counter()
            request_id = _identify(context)
            status = grpc.StatusCode.CANCELLED
            self._unary += 1
            numbers.open += 1
            try:
                if isinstance(request, Refused) or self._draining or self._unary > MAX_CALLS:
                    self._refuse(request)
                response = await handler(request, context)
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
        self, name: str, handler: StreamHandler[Request, Response]
    ) -> Callable[[Request | Refused, Context], Awaitable[None]]:
        """Wraps the handler of a call with many answers."""
        numbers = self._metrics.method(name)

        async def call(request: Request | Refused, context: Context) -> None:
            began = perf_counter()
            request_id = _identify(context)
            status = grpc.StatusCode.CANCELLED
            numbers.open += 1
            try:
                if isinstance(request, Refused) or self._draining or len(self._streams) >= MAX_STREAMS:
                    self._refuse(request)
                await self._serve(handler(request, context), context)
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

    def conversation(
        self, name: str, handler: StreamHandler[AsyncIterator[Request], Response]
    ) -> Callable[[AsyncIterator[Request | Refused], Context], Awaitable[None]]:
        """Wraps the handler of a call with many requests and many answers."""
        call = self.stream(name, handler)

        async def converse(requests: AsyncIterator[Request | Refused], context: Context) -> None:
            await call(_readable(requests), context)

        return converse

    async def drain(self, seconds: float) -> None:
        """Refuses new calls and lets those under way end; streams are ended at random moments within `seconds`.

        Returns when none is left, or a little after `seconds` with those that do not end.
        """
        self._draining = True
        now = asyncio.get_running_loop().time()
        for stream in self._streams:
            stream.reschedule(now + jitter(seconds))
        self._left()
        try:
            async with asyncio.timeout(seconds + UNARY_SECONDS):
                await self._drained.wait()
        except TimeoutError:
            _log.warning("calls_cut_off", unary=self._unary, streams=len(self._streams))
        # gRPC cancels what arrives while it shuts down, so callers are told to go elsewhere until they have gone.
        for _ in range(_QUIET_LOOKS):
            refused = self._refused
            await asyncio.sleep(_QUIET_SECONDS)
            if self._refused == refused:
                break

    def _refuse(self, request: object) -> NoReturn:
        if self._draining:
            self._refused += 1
            raise Draining(jitter(_RETRY_SPREAD))
        if isinstance(request, Refused):
            raise request.error
        if self._unary > MAX_CALLS:
            raise RateLimited(f"{MAX_CALLS} calls are under way here; try again", 1.0)
        raise TooManyStreams(MAX_STREAMS)

    async def _serve(self, responses: AsyncGenerator[Response, None], context: Context) -> None:
        """Writes every response, until they end or the drain wants the stream to."""
        try:
            async with asyncio.timeout(None) as until, aclosing(responses):
                self._streams.add(until)
                try:
                    async for response in responses:
                        await _write(context, response)
                finally:
                    self._streams.discard(until)
        except TimeoutError:
            if until.expired():
                raise Draining(jitter(_RETRY_SPREAD)) from None
            raise

    def _left(self) -> None:
        if self._draining and not self._unary and not self._streams:
            self._drained.set()


async def _readable(requests: AsyncIterator[Request | Refused]) -> AsyncIterator[Request]:
    """The requests of a conversation. Raises why one was refused."""
    async for request in requests:
        if isinstance(request, Refused):
            raise request.error
        yield request


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
