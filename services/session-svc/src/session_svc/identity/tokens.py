"""The tokens of the file, as they are now."""

import asyncio
from pathlib import Path

import structlog

from session_svc.domain.access import Grant
from session_svc.identity import token_file
from session_svc.identity.token_file import UnusableTokensError

_log = structlog.get_logger(__name__)


class FileTokens:
    """Looks tokens up. A file that has become unusable changes nothing, and the log says so; no file: no tokens."""

    def __init__(self, path: Path) -> None:
        """Reads the file. Raises UnusableTokensError: who may enter must be known before anyone does."""
        self._path = path
        self._stamp = _stamp(path)
        self._grants = _grants(path)
        self._complaint: tuple[object, str] | None = None
        if not self._grants:
            _log.warning("no_tokens", file=str(path), remedy="make one: session-svc token create NAME")

    def find(self, digest: str) -> Grant | None:
        """What the token of this digest permits, expired or not; None: it is unknown."""
        return self._grants.get(digest)

    async def refresh(self) -> bool:
        """Reads the file again if it has changed; whether other tokens may be in force now."""
        stamp = await asyncio.to_thread(_stamp, self._path)
        if stamp == self._stamp:
            return False
        try:
            self._grants = await asyncio.to_thread(_grants, self._path)
        except UnusableTokensError as error:
            self._complain(stamp, str(error))  # It is tried again: what cannot be read may be readable soon.
            return False
        self._stamp = stamp
        _log.info("tokens_read", count=len(self._grants))
        return True

    def _complain(self, stamp: object, problem: str) -> None:
        """Logs a problem once, however often it is met."""
        if self._complaint != (stamp, problem):
            self._complaint = stamp, problem
            _log.error("tokens_unusable", problem=problem, remedy="those before stay in force until it is repaired")


def _grants(path: Path) -> dict[str, Grant]:
    return {entry.sha256: entry.grant() for entry in token_file.read(path)}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
