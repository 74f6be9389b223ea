"""A browser as the gateway sees it, light enough for a thousand: follows one session and resumes wherever it must."""

import asyncio
import contextlib
import json
import random
import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import h11
from support.background import Background
from support.event_stream import EventStream
from support.ledger import Ledger
from support.until import PATIENCE_SECONDS

_READ_BYTES: Final = 1 << 16
_SILENCE_SECONDS: Final = 45.0
"""Longer than two heartbeats of the gateway."""
_PAUSE_SECONDS: Final = 0.5
_PREVIOUS: Final = re.compile(r'<([^>]+)>; rel="prev"')


@dataclass(frozen=True, slots=True)
class End:
    """When a stream ended, by the monotonic clock, and whether its last byte was there."""

    at: float
    in_order: bool


class ResumingViewer(Background):
    """Async context manager: follows `session` from its first message, at one of `gateways` after the other."""

    def __init__(self, gateways: Sequence[str], session: str, *, first: int = 0) -> None:
        self.session = session
        self.ledger = Ledger()
        self.ends: list[End] = []
        self._gateways = gateways
        self._turn = first
        self._last_id = ""
        self._retry = _PAUSE_SECONDS
        self._is_open = False
        self._open = asyncio.Event()
        self._news = asyncio.Event()

    async def until_open(self) -> None:
        """Returns once the first stream is open."""
        await self._open.wait()

    async def until_seen(self, count: int) -> None:
        """Returns once at least so many messages have come."""
        while len(self.ledger.ids) < count:
            self._news.clear()
            await self._news.wait()

    async def run(self) -> None:
        """See Background."""
        while True:
            address = self._gateways[self._turn % len(self._gateways)]
            self._turn += 1
            self._is_open = in_order = False
            with contextlib.suppress(OSError, TimeoutError, h11.RemoteProtocolError):
                await self._follow(address)
                in_order = True
            if self._is_open:
                self.ends.append(End(time.monotonic(), in_order))
            await asyncio.sleep(self._retry * random.uniform(0.5, 1))  # noqa: S311 - Spreads load only.

    async def _follow(self, address: str) -> None:
        """One stream to its end. Raises what broke it."""
        path = f"/api/stream?session={quote(self.session, safe='')}&after="
        stream = EventStream()
        stream.last_id = self._last_id
        async for part in _get(address, path, {"last-event-id": self._last_id} if self._last_id else {}):
            if isinstance(part, h11.Response):
                if part.status_code != HTTPStatus.OK:
                    return
                self._is_open = True
                self._open.set()
                continue
            for event in stream.feed(bytes(part)):
                if self.ledger.take(event.json()):
                    await self._load(address)
                self._last_id = event.id  # Only now: a history that could not be loaded is asked for again.
            self._last_id = stream.last_id
            self._retry = stream.retry / 1000 if stream.retry is not None else self._retry
            self._news.set()

    async def _load(self, address: str) -> None:
        route = f"/api/sessions/{quote(self.session, safe='')}/messages"
        path: str | None = f"{route}?limit=1000"
        messages: list[dict[str, Any]] = []
        while path is not None:
            body, link = b"", ""
            async for part in _get(address, path, {"connection": "close"}):
                if isinstance(part, h11.Response):
                    if part.status_code != HTTPStatus.OK:
                        raise OSError(f"history: {part.status_code}")
                    link = dict(part.headers).get(b"link", b"").decode()
                else:
                    body += part
            messages = json.loads(body) + messages
            found = _PREVIOUS.search(link)
            path = (
                f"/api/sessions/{quote(self.session, safe='')}/messages?{found[1].partition('?')[2]}" if found else None
            )
        self.ledger.load(messages)


async def _get(address: str, target: str, headers: dict[str, str]) -> AsyncIterator[h11.Response | bytes | bytearray]:
    """The answer's head, then its body as it comes. Raises OSError, TimeoutError or RemoteProtocolError."""
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(PATIENCE_SECONDS):
        reader, writer = await asyncio.open_connection(host, int(port))
    try:
        connection = h11.Connection(h11.CLIENT)
        request = h11.Request(method="GET", target=target, headers=[("host", address), *headers.items()])
        writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        while True:
            match event := connection.next_event():
                case h11.NEED_DATA:
                    async with asyncio.timeout(_SILENCE_SECONDS):
                        connection.receive_data(await reader.read(_READ_BYTES))
                case h11.Response():
                    yield event
                case h11.Data(data=data):
                    yield data
                case _:
                    return
    finally:
        writer.close()
