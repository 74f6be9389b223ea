"""Finding the sessions that other programs left in Redis without listing them."""

import asyncio
import re
from typing import Final

import structlog

from session_svc.domain.errors import SessionNotFound, UnusableData
from session_svc.domain.names import may_exist
from session_svc.entropy import random_digits
from session_svc.storage.redis.client import RedisClient
from session_svc.storage.redis.scripts import Script

INDEX: Final = "sessions:activity"
LOCK: Final = "sessions:adopting"
_FIRST: Final = "first-"
"""What the lock's value begins with while the first list is being made."""
LOCK_SECONDS: Final = 30
STEP_KEYS: Final = 500
PAUSE_SECONDS: Final = 0.01
"""Between two steps, so that a scan of many keys leaves Redis to those who wait for it."""

_KEY: Final = re.compile(r"session:(.+):(?:messages|metadata)", re.DOTALL)

_log = structlog.get_logger()


class Adoption:
    """Scans the keys in small steps, on one replica at a time."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def is_listed(self) -> bool:
        """Whether there is a list that is not just being made."""
        listed = await self._client.command("EXISTS", INDEX)
        return bool(listed) and not str(await self._client.command("GET", LOCK) or "").startswith(_FIRST)

    async def run(self) -> int | None:
        """Lists what is not listed; returns how many. None where another replica holds the lock, or has taken it."""
        token = random_digits(12)
        if not await self._client.command("EXISTS", INDEX):
            token = _FIRST + token
        if await self._client.command("SET", LOCK, token, "NX", "EX", LOCK_SECONDS) is None:
            return None
        adopted, cursor = 0, "0"
        while True:
            cursor, keys = await self._client.command("SCAN", cursor, "MATCH", "session:*", "COUNT", STEP_KEYS)
            adopted += await self._adopt(sorted(_names(keys)))
            if cursor == "0":
                break
            if await self._client.command("GET", LOCK) != token:
                return None
            await self._client.command("EXPIRE", LOCK, LOCK_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)
        if await self._client.command("GET", LOCK) == token:
            await self._client.command("DEL", LOCK)
        return adopted

    async def _adopt(self, names: list[str]) -> int:
        if not names:
            return 0
        scores = await self._client.command("ZMSCORE", INDEX, *names)
        adopted = 0
        for name, score in zip(names, scores, strict=True):
            if score is None:
                adopted += await self._adopt_one(name)
        return adopted

    async def _adopt_one(self, name: str) -> bool:
        try:
            # Reading is enough: every script lists the session that it finds unlisted.
            await self._client.run(Script.GET, name)
        except SessionNotFound:
            return False
        except UnusableData as error:
            _log.warning("session_not_adopted", session=name, problem=str(error))
            return False
        return True


def _names(keys: list[str]) -> set[str]:
    names = {match[1] for key in keys if (match := _KEY.fullmatch(key))}
    return {name for name in names if may_exist(name)}
