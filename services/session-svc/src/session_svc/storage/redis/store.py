"""The sessions themselves, in Redis hashes and two sorted sets."""

import asyncio
import json
from collections.abc import Mapping
from typing import Final

import structlog

from session_svc.domain.errors import UnusableData
from session_svc.domain.names import is_creatable
from session_svc.domain.session import Activity, Keep, NewSession, Session, SessionChange, SessionPage
from session_svc.storage.base import Expected, SessionStore
from session_svc.storage.redis import codec
from session_svc.storage.redis.adoption import Adoption
from session_svc.storage.redis.client import RedisClient
from session_svc.storage.redis.history import expectation
from session_svc.storage.redis.scripts import Script

DUE_AT_ONCE: Final = 256

_log = structlog.get_logger()


class RedisSessionStore(SessionStore):
    """SessionStore over one script a method."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._adoption = Adoption(client)

    async def create(self, name: str, new: NewSession, *, allow_existing: bool) -> Session:
        _, row = await self._client.run(
            Script.CREATE,
            name,
            "1" if is_creatable(name) else "",
            "1" if allow_existing else "",
            new.title,
            "" if new.ttl is None else new.ttl,
            _labels(new.labels),
            new.owner,
        )
        return codec.session(row)

    async def get(self, name: str) -> Session:
        _, row = await self._client.run(Script.GET, name)
        return codec.session(row)

    async def page(self, *, after: Activity | None, limit: int) -> SessionPage:
        place = (after.time, after.name) if after else ("", "")
        _, time, name, rows = await self._client.run_listing(Script.LIST, limit, *place)
        return SessionPage(tuple(map(codec.session, rows)), Activity(int(time), name) if time else None)

    async def update(self, name: str, change: SessionChange) -> Session:
        arguments: list[str | int] = []
        if not isinstance(change.title, Keep):
            arguments += ["title", change.title]
        if not isinstance(change.ttl, Keep):
            arguments += ["ttl", "" if change.ttl is None else change.ttl]
        if not isinstance(change.labels, Keep):
            arguments += ["labels", _labels(change.labels)]
        _, row = await self._client.run(Script.UPDATE, name, *arguments)
        return codec.session(row)

    async def delete(self, name: str, *, expected: Expected = None) -> None:
        await self._client.run(Script.DELETE, name, expectation(expected))

    async def settle_due(self) -> None:
        while True:
            _, names = await self._client.run_listing(Script.DUE, DUE_AT_ONCE)
            reachable = self._client.reachable_ms
            outcomes = await asyncio.gather(
                *(self._client.run(Script.SETTLE, name, reachable) for name in names), return_exceptions=True
            )
            for name, outcome in zip(names, outcomes, strict=True):
                if isinstance(outcome, UnusableData):
                    _log.warning("unusable_session_dropped_from_schedule", session=name, problem=str(outcome))
                elif isinstance(outcome, BaseException):
                    raise outcome
            if len(names) < DUE_AT_ONCE:
                return

    async def adopt(self) -> int | None:
        return await self._adoption.run()

    async def is_listed(self) -> bool:
        return await self._adoption.is_listed()

    async def ping(self) -> None:
        await self._client.command("PING")


def _labels(labels: Mapping[str, str]) -> str:
    return json.dumps(dict(labels), ensure_ascii=False, sort_keys=True) if labels else ""
