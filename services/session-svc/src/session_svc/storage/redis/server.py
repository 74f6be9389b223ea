"""What kind of server this is: one that cannot be used, one that may forget, or a good one."""

from typing import Final

import hiredis
import structlog

from session_svc.storage.redis.connection import Connection

MINIMUM_VERSION: Final = (7, 0)

_log = structlog.get_logger()


class Unsupported(Exception):
    """The server cannot be used at all; the text says why and what to use instead."""


async def inspect(connection: Connection) -> None:
    """Refuses a cluster and servers before Redis 7.0; warns of one that may lose acknowledged writes."""
    info = _parse(await connection.send(("INFO",)))
    if info.get("cluster_enabled") == "1":
        raise Unsupported("this is a Redis Cluster, which session-svc cannot use yet; use a single server")
    version = tuple(int(part) for part in info.get("redis_version", "7.0").split(".")[:2])
    if version < MINIMUM_VERSION:
        raise Unsupported(f"this is Redis {info['redis_version']}; session-svc needs 7.0 or newer")
    for risk in await _risks(connection, info):
        _log.warning("store_may_lose_acknowledged_writes", risk=risk)


async def _risks(connection: Connection, info: dict[str, str]) -> list[str]:
    risks = []
    if info.get("aof_enabled") == "0":
        risks.append("no append-only file: set appendonly yes")
    elif await _setting(connection, "appendfsync") not in {"always", None}:
        risks.append("acknowledges before the disk has it: set appendfsync always")
    if info.get("maxmemory_policy", "noeviction") != "noeviction":
        risks.append(
            f"evicts keys when memory is short: set maxmemory-policy noeviction, not {info['maxmemory_policy']}"
        )
    return risks


async def _setting(connection: Connection, name: str) -> str | None:
    """A configuration value; None where the server does not tell (CONFIG forbidden, as managed ones do)."""
    try:
        reply = await connection.send(("CONFIG", "GET", name))
    except hiredis.ReplyError:
        return None
    return str(reply[1]) if reply else None


def _parse(info: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in info.splitlines() if ":" in line and not line.startswith("#"))
