"""Who bears a token, whichever kind it is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import time
from typing import Final, Protocol

import structlog

from session_svc.domain.access import Grant
from session_svc.domain.errors import TokenInvalid
from session_svc.identity.token_file import digest
from session_svc.identity.tokens import FileTokens

LOOK_SECONDS: Final = 0.25
"""How soon an edit of the tokens is noticed."""

REVIEW_SECONDS: Final = 1.0
"""How soon it is noticed that one has expired."""

_log = structlog.get_logger(__name__)


class Provider(Protocol):
    """Whoever issues tokens that are in no file."""

    async def verify(self, token: str, digest: str) -> Grant: ...

    async def refresh(self) -> None: ...


class Identity:
    """Verifies tokens against the file and the provider, either of which may be missing."""

    def __init__(self, file: FileTokens | None, provider: Provider | None) -> None:
        self._file = file
        self._provider = provider

    async def verify(self, token: str) -> Grant:
        """What the token permits now.

        Raises TokenInvalid; StoreUnavailable while the provider's keys are out of reach.
        """
        key = digest(token)
        grant = self._file.find(key) if self._file is not None else None
        if grant is None and self._provider is not None:
            grant = await self._provider.verify(token, key)
        if grant is None or (grant.expires is not None and grant.expires <= time()):
            raise TokenInvalid
        return grant

    @asynccontextmanager
    async def running(self, review: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """Keeps up with file and provider while entered, and has what was admitted before looked at again."""
        task = asyncio.create_task(self._keep_up(review), name="identity")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep_up(self, review: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        reviewed = loop.time()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                edited = self._file is not None and await self._file.refresh()
                if edited or loop.time() - reviewed >= REVIEW_SECONDS:
                    reviewed = loop.time()
                    await review()
                    if self._provider is not None:
                        await self._provider.refresh()
            except Exception:  # noqa: BLE001 - Revoked tokens must go on being noticed; it is logged.
                _log.exception("review_defect")
