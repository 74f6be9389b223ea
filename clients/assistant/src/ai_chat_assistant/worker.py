"""Finds the sessions that wait, and has a bounded number of them answered at once."""

import asyncio
import contextlib
import functools
from typing import Final

import structlog
from ai_chat_client import AsyncClient, Backoff, Session
from ai_chat_client.errors import AiChatError, LimitedError, UnavailableError

from ai_chat_assistant import metrics
from ai_chat_assistant.answering import Answering

WAITING_MAX: Final = 10_000
"""Sessions remembered to be waiting; when there are more, the list is read again once these are answered."""
ATTEMPTS: Final = 8
"""How often a session is tried while the service does not answer; after that, a new list tells of it."""

_LIST_PAGE: Final = 200

_log = structlog.get_logger(__name__)


class Assistant:
    """Answers what waits, until told to stop. Holds nothing that matters: kill it, start it, start several."""

    def __init__(
        self, client: AsyncClient, answering: Answering, *, concurrency: int, backoff: Backoff | None = None
    ) -> None:
        self._client = client
        self._answering = answering
        self._concurrency = concurrency
        self._backoff = backoff or Backoff(maximum=15.0)
        self._waiting: dict[str, None] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._overflowed = False
        self._news = asyncio.Event()
        self._list_again = asyncio.Event()

    async def run(self, stop: asyncio.Event, *, drain_seconds: float) -> None:
        """Works until `stop` is set; then begins nothing, and lets what it has begun end within `drain_seconds`."""
        tasks = [asyncio.create_task(work()) for work in (self._follow, self._relist, self._dispatch, stop.wait)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            metrics.following.set(0)
            await self._drain(drain_seconds)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _drain(self, seconds: float) -> None:
        if not self._busy:
            return
        _log.info("draining", seconds=seconds, replies=len(self._busy))
        _, late = await asyncio.wait(self._busy.values(), timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _follow(self) -> None:
        """Keeps an eye on the list of sessions, for ever."""
        failures = 0
        following = False

        def lost(error: AiChatError) -> None:
            nonlocal following
            if following:
                _log.warning("lost the list of sessions", reason=error.reason, error=error.message)
            following = False
            metrics.following.set(0)

        while True:
            try:
                async with contextlib.aclosing(self._client.watch_sessions(on_loss=lost)) as events:
                    async for event in events:
                        if event.HasField("reset"):
                            await self._list()
                            following = True
                            metrics.following.set(1)
                            _log.info("following", waiting=len(self._waiting))
                        elif event.HasField("created"):
                            self._consider(event.created.session)
                        elif event.HasField("updated"):
                            self._consider(event.updated.session)
                        elif event.HasField("deleted"):
                            self._waiting.pop(event.deleted.name, None)
                        failures = 0
            except AiChatError as error:
                failures += 1
                following = False
                metrics.following.set(0)
                _log.warning("cannot follow the list of sessions", reason=error.reason, error=error.message)
                await asyncio.sleep(self._backoff.delay(failures, error.retry_after))

    async def _relist(self) -> None:
        """Reads the list again when there were too many to remember and those have been answered."""
        while True:
            await self._list_again.wait()
            self._list_again.clear()
            try:
                await self._list()
            except AiChatError as error:
                _log.warning("cannot list the sessions", reason=error.reason, error=error.message)
                self._list_again.set()
                await asyncio.sleep(self._backoff.delay(ATTEMPTS, error.retry_after))

    async def _list(self) -> None:
        """Considers every session with an activity that is not too old; they come latest first."""
        async with contextlib.aclosing(self._client.sessions(page_size=_LIST_PAGE)) as sessions:
            async for session in sessions:
                if not self._answering.is_recent(session):
                    return
                self._consider(session)

    def _consider(self, session: Session) -> None:
        if not (self._answering.concerns(session) and self._answering.is_recent(session)):
            self._waiting.pop(session.name, None)
        elif len(self._waiting) < WAITING_MAX:
            self._waiting[session.name] = None
            self._news.set()
        else:
            self._overflowed = True
        metrics.waiting.set(len(self._waiting))

    async def _dispatch(self) -> None:
        """Begins the next answer whenever there is one to begin and room for it."""
        while True:
            await self._news.wait()
            self._news.clear()
            while len(self._busy) < self._concurrency and (name := self._next()) is not None:
                del self._waiting[name]
                task = asyncio.create_task(self._answer(name), name=f"answer {name}")
                self._busy[name] = task
                task.add_done_callback(functools.partial(self._done, name))
            metrics.waiting.set(len(self._waiting))
            if self._overflowed and not self._waiting:
                self._overflowed = False
                self._list_again.set()

    def _next(self) -> str | None:
        return next((name for name in self._waiting if name not in self._busy), None)

    def _done(self, name: str, _: asyncio.Task[None]) -> None:
        del self._busy[name]
        self._news.set()

    async def _answer(self, name: str) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._answering.answer(name)
            except (UnavailableError, LimitedError) as error:
                _log.warning("cannot answer yet", session=name, reason=error.reason, error=error.message)
                await asyncio.sleep(self._backoff.delay(attempt, error.retry_after))
            except AiChatError as error:
                _log.warning("cannot answer", session=name, reason=error.reason, error=error.message)
                return
            except Exception:  # noqa: BLE001 - One session's trouble must not end the others' answers.
                _log.exception("a defect kept a session from being answered", session=name)
                return
            else:
                return
