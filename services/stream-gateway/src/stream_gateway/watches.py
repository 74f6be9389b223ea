"""What each token may see of the list, and whether it is still good: one WatchSessions for each distinct token."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from typing import Final

import structlog
from ai_chat_client import AsyncClient, context
from ai_chat_client.errors import AiChatError, NotAllowedError, NotFoundError

from stream_gateway import metrics
from stream_gateway.audience import Audience
from stream_gateway.budget import Budget
from stream_gateway.feed import Urgency
from stream_gateway.notices import goodbye, status
from stream_gateway.pace import Pace
from stream_gateway.roster import Roster
from stream_gateway.sources.watched import list_event
from stream_gateway.tasks import Tasks
from stream_gateway.viewer import Viewer

MAX_WATCHES: Final = 2000
LINGER_SECONDS: Final = 30.0
OPENING_SECONDS: Final = 5.0
PARALLEL: Final = 32
LIST_BYTES: Final = 64 * 1024 * 1024

log = structlog.get_logger(__name__)


class TooManyTokensError(Exception):
    """Viewers with as many different tokens as the process takes are there."""


class Watch:
    """One token's watch, and the viewers who came with that token."""

    def __init__(self, token: str, budget: Budget) -> None:
        self.token = token
        self.roster = Roster(budget)
        self.listeners = Audience(self.roster.ring, Pace())
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None
        self.visits = 0
        self.viewers: dict[Viewer, str | None] = {}
        self.last_words: bytes | None = None
        """What ended it says to its viewers; None: it goes on."""

    def admit(self, viewer: Viewer, name: str | None) -> None:
        """Has the viewer's stream, of session `name` or of the list alone, end with the watch, which may have ended."""
        self.viewers[viewer] = name
        viewer.at_end(self._leave)
        if self.last_words is not None:
            viewer.finish(self.last_words)

    def follow_list(self, viewer: Viewer) -> None:
        """Tells the viewer each change of what its token may see; one that is too slow is told to list again."""
        self.listeners.viewers.add(viewer)
        viewer.follow(self.roster.ring)

    def end(self, last_words: bytes) -> None:
        """Ends the streams of all its viewers."""
        self.last_words = last_words
        for viewer in tuple(self.viewers):
            viewer.finish(last_words)

    def _leave(self, viewer: Viewer) -> None:
        self.viewers.pop(viewer, None)
        self.listeners.viewers.discard(viewer)


class Watches:
    """The watches of all tokens that are here, or were a moment ago.

    `client` has no token of its own: each watch is made with the viewer's. A watch lives from its first viewer until
    `linger` seconds after its last, or until session-svc says that its token is no longer good. Where the token permits
    something else by now, session-svc breaks it; it begins again, and every viewer's session is asked for again.
    """

    def __init__(self, client: AsyncClient, *, linger: float = LINGER_SECONDS, max_watches: int = MAX_WATCHES) -> None:
        self._client = client
        self._linger = linger
        self._max_watches = max_watches
        self._tasks = Tasks()
        self._budget = Budget(LIST_BYTES)
        self._watches: dict[str, Watch] = {}
        self._lingering: OrderedDict[str, float] = OrderedDict()
        self._slots = asyncio.Semaphore(PARALLEL)

    async def run(self) -> None:
        """Keeps time until it is cancelled."""
        try:
            while True:
                await asyncio.sleep(min(1.0, self._linger))
                now = time.monotonic()
                while self._lingering and next(iter(self._lingering.values())) <= now:
                    self._drop(self._watches[next(iter(self._lingering))])
        finally:
            await self._tasks.close()

    def visit(self, token: str, viewer: Viewer) -> Watch:
        """The token's watch, kept at least until the viewer's end. Raises TooManyTokensError."""
        watch = self._watches.get(token) or self._begin(token)
        watch.visits += 1
        self._lingering.pop(token, None)
        viewer.at_end(lambda _: self._end_visit(watch))
        return watch

    async def opened(self, watch: Watch) -> None:
        """Returns once session-svc has accepted the token. Raises AiChatError, or TimeoutError when it says nothing."""
        async with asyncio.timeout(OPENING_SECONDS):
            await asyncio.shield(watch.opened)

    async def check(self, watch: Watch, name: str) -> None:
        """Returns if the token may see the session, or the name that one may come to have. Raises AiChatError."""
        before = context.token.set(watch.token)
        try:
            async with self._slots:
                metrics.FETCHES.labels("GetSession").inc()
                await self._client.get_session(name)
        except NotFoundError:
            pass
        finally:
            # What viewers share is read by the gateway itself, in whosever task that happens to be.
            context.token.reset(before)

    def _end_visit(self, watch: Watch) -> None:
        watch.visits -= 1
        if not watch.visits and self._watches.get(watch.token) is watch:
            self._lingering[watch.token] = time.monotonic() + self._linger

    def _begin(self, token: str) -> Watch:
        if len(self._watches) >= self._max_watches:
            if not self._lingering:
                raise TooManyTokensError
            self._drop(self._watches[next(iter(self._lingering))])
        watch = Watch(token, self._budget)
        self._watches[token] = watch
        metrics.TOKENS.set(len(self._watches))
        watch.task = self._tasks.spawn(self._follow(watch), lambda: self._over(watch, goodbye()))
        return watch

    async def _follow(self, watch: Watch) -> None:
        context.token.set(watch.token)
        try:
            async with contextlib.aclosing(self._client.watch_sessions()) as responses:
                async for response in responses:
                    if response.HasField("reset"):
                        self._at_reset(watch)
                    elif data := list_event(response):
                        watch.roster.take(data)
                        watch.listeners.tell(Urgency.NOW)
        except AiChatError as error:
            refused = isinstance(error, NotAllowedError)
            log.info(
                "token_refused" if refused else "list_watch_ended", reason=error.reason, viewers=len(watch.viewers)
            )
            if not watch.opened.done():
                watch.opened.set_exception(error)
                watch.opened.exception()  # Everybody who waited may be gone.
            self._over(watch, status("signed-out") if refused else goodbye())

    def _at_reset(self, watch: Watch) -> None:
        if not watch.opened.done():
            watch.opened.set_result(None)
            return
        for viewer in tuple(watch.listeners.viewers):
            if viewer.is_open:
                viewer.say(status("live"))
        for name in {name for name in watch.viewers.values() if name is not None}:
            self._tasks.spawn(self._check_again(watch, name))

    async def _check_again(self, watch: Watch, name: str) -> None:
        """Sends away whoever follows a session that the token may no longer see; coming back, they are told why."""
        try:
            await self.check(watch, name)
        except AiChatError as error:
            log.info("session_refused", reason=error.reason)
            for viewer, followed in tuple(watch.viewers.items()):
                if followed == name:
                    viewer.finish(goodbye())

    def _over(self, watch: Watch, last_words: bytes) -> None:
        watch.end(last_words)
        self._forget(watch)

    def _drop(self, watch: Watch) -> None:
        self._forget(watch)
        if watch.task:
            watch.task.cancel()

    def _forget(self, watch: Watch) -> None:
        if self._watches.get(watch.token) is watch:
            del self._watches[watch.token]
            self._lingering.pop(watch.token, None)
            watch.listeners.close()
            watch.roster.ring.clear()
            metrics.TOKENS.set(len(self._watches))
