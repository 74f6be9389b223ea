"""Tokens for tests, in a file as `session-svc token` keeps it."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from session_svc.identity import token_file
from session_svc.identity.token_file import ScopeName, TokenEntry


class TokensFile:
    """The file at `path` (for `AUTH_TOKENS_FILE`); a running service notices changes within seconds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with token_file.editing(path) as entries:
            entries.clear()

    def add(
        self,
        name: str,
        *,
        scopes: Sequence[ScopeName] = ("read", "write"),
        sessions: Sequence[str] | None = None,
        expires: dt.datetime | dt.timedelta | None = None,
    ) -> str:
        """A new token, in clear. `expires` a moment, or how long from now; None: never."""
        now = dt.datetime.now(dt.UTC)
        token = token_file.new_token()
        entry = TokenEntry(
            name=name,
            sha256=token_file.digest(token),
            scopes=tuple(scopes),
            sessions=tuple(sessions) if sessions is not None else None,
            created=now,
            expires=now + expires if isinstance(expires, dt.timedelta) else expires,
        )
        with token_file.editing(self.path) as entries:
            entries.append(entry)
        return token

    def revoke(self, name: str) -> None:
        """Removes every token of `name`."""
        with token_file.editing(self.path) as entries:
            entries[:] = [entry for entry in entries if entry.name != name]


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata with which a call carries `token`."""
    return (("authorization", f"Bearer {token}"),)
