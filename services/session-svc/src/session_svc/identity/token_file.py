"""The file of tokens: its form, and how it is edited.

Tokens stand in it by their SHA-256 alone. They are 256 random bits, so nothing slower is needed to keep them from being
guessed, and a lookup by hash tells nobody anything by its time.
"""

import fcntl
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from session_svc.domain.access import PATTERNS, Grant, NamePatterns, Scope
from session_svc.domain.limits import AUTHOR_CHARACTERS, EXISTING_NAME_CHARACTERS

PREFIX: Final = "aichat_"
"""By which people, and programs that look for leaked secrets, know a token."""

ID_CHARACTERS: Final = 8
_RANDOM_BYTES: Final = 32

ScopeName = Literal["read", "write", "admin"]
Name = Annotated[str, Field(min_length=1, max_length=AUTHOR_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Pattern = Annotated[str, Field(min_length=1, max_length=EXISTING_NAME_CHARACTERS)]


class UnusableTokensError(Exception):
    """The file of tokens cannot be read or written; the text says what is wrong with it."""


class TokenEntry(BaseModel):
    """One token, without the token.

    sha256    of the token, in hexadecimal
    scopes    the highest counts: each includes those below it
    sessions  patterns of the names it is for; None: every session
    expires   None: never
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: Annotated[tuple[ScopeName, ...], Field(min_length=1)]
    sessions: Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=PATTERNS)] | None = None
    created: AwareDatetime
    expires: AwareDatetime | None = None

    @property
    def id(self) -> str:
        """What tells it from another one of the same name."""
        return self.sha256[:ID_CHARACTERS]

    def grant(self) -> Grant:
        """What it permits."""
        return Grant(
            self.name,
            max(Scope[scope.upper()] for scope in self.scopes),
            NamePatterns(self.sessions) if self.sessions else None,
            self.expires.timestamp() if self.expires else None,
        )


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: tuple[TokenEntry, ...] = ()

    @model_validator(mode="after")
    def _each_token_once(self) -> "_Document":
        if len({token.sha256 for token in self.tokens}) < len(self.tokens):
            raise ValueError("one sha256 stands there twice")
        return self


def digest(token: str) -> str:
    """Under what a token is kept."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def new_token() -> str:
    """A token that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def read(path: Path) -> tuple[TokenEntry, ...]:
    """The tokens in the file; none where there is no file. Raises UnusableTokensError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UnusableTokensError(f"{path}: {error.strerror or error}") from error
    try:
        return _Document.model_validate_json(text).tokens
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg']}" for item in error.errors()
        )
        raise UnusableTokensError(f"{path}: {problems}") from None


@contextmanager
def editing(path: Path) -> Iterator[list[TokenEntry]]:
    """The tokens, to be changed: what the list holds at the end is what the file holds, at one stroke, mode 0600.

    One editor at a time: others wait. When the body fails nothing changes. Raises UnusableTokensError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with Path(f"{path}.lock").open("w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = read(path)
            entries = list(before)
            yield entries
            if tuple(entries) != before:
                _write(path, entries)
    except OSError as error:
        raise UnusableTokensError(
            f"{path}: {error.strerror or error}; its folder must be writable here, because it is replaced at one stroke"
        ) from error


def _write(path: Path, entries: list[TokenEntry]) -> None:
    document = {"tokens": [entry.model_dump(mode="json", exclude_none=True) for entry in entries]}
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # Mode 0600.
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
