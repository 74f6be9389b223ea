"""A client of the gateway's stream: reads what comes, and waits for what should."""

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx
from support.event_stream import EventStream
from support.until import PATIENCE_SECONDS


class WebViewer:
    """Async context manager: one open stream, read in the background. `token`: what it shows.

    `events`: the objects that came, in order, `status` left out; `ids`: for each, the id it came with (empty: none of
    its own). `last_id`: where to resume from. `ended`: whether the server has ended the body, in order.
    """

    def __init__(self, address: str, session: str | None = None, **parameters: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.states: list[str] = []
        self.ended = False
        self.broken = False
        self.response: httpx.Response | None = None
        self._stream = EventStream()
        self._url = f"http://{address}/api/stream"
        self._headers = {"last-event-id": parameters.pop("last_event_id")} if "last_event_id" in parameters else {}
        if "token" in parameters:
            self._headers["authorization"] = f"Bearer {parameters.pop('token')}"
        self._parameters = parameters | ({"session": session} if session is not None else {})
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(PATIENCE_SECONDS, read=None))
        self._reading: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Self:
        request = self._client.build_request("GET", self._url, params=self._parameters, headers=self._headers)
        self.response = await self._client.send(request, stream=True)
        self._reading = asyncio.create_task(self._read(self.response))
        if self.response.status_code == httpx.codes.OK:
            await self.until(lambda: self._stream.retry is not None, "the first frame")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._reading:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        if self.response:
            await self.response.aclose()
        await self._client.aclose()

    @property
    def last_id(self) -> str:
        """What a browser would send as Last-Event-ID."""
        return self._stream.last_id

    @property
    def comments(self) -> int:
        """How many comments came: heartbeats."""
        return self._stream.comments

    @property
    def retry(self) -> int | None:
        """Milliseconds to wait before reconnecting, as last told."""
        return self._stream.retry

    @property
    def contents(self) -> list[str]:
        """The contents of the messages that came."""
        return [event["payload"]["content"] for event in self.events if event["type"] in ("user", "message")]

    @property
    def types(self) -> list[str]:
        """The types of the events that came."""
        return [event["type"] for event in self.events]

    async def until(self, condition: Callable[[], object], what: str, seconds: float | None = PATIENCE_SECONDS) -> None:
        """Returns once `condition()` holds; AssertionError after `seconds`, None: never."""
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: bool(condition()))
        except TimeoutError:
            raise AssertionError(f"{what} did not come; there is {self.events} and {self.states}") from None

    async def until_contents(self, *contents: str) -> None:
        """Returns once exactly these messages have come, in this order."""
        await self.until(lambda: len(self.contents) >= len(contents), f"{contents}")
        assert self.contents == list(contents)

    async def until_type(self, kind: str) -> dict[str, Any]:
        """Returns the first event of this type, once it has come."""
        await self.until(lambda: kind in self.types, kind)
        return self.events[self.types.index(kind)]

    async def until_ended(self) -> None:
        """Returns once the connection is over, in order or not."""
        await self.until(lambda: self.ended or self.broken, "the end")

    async def _read(self, response: httpx.Response) -> None:
        try:
            async for chunk in response.aiter_raw():
                before = self._stream.last_id
                for event in self._stream.feed(chunk):
                    self._take(event.json(), event.id if event.id != before else "")
                    before = event.id
                async with self._news:
                    self._news.notify_all()
            self.ended = True
        except httpx.TransportError:
            self.broken = True
        async with self._news:
            self._news.notify_all()

    def _take(self, event: dict[str, Any], own_id: str) -> None:
        if event["type"] == "status":
            self.states.append(event["payload"]["state"])
        else:
            self.events.append(event)
            self.ids.append(own_id)
