"""Who calls, by what a call carries beside its request."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final
from urllib.parse import unquote

from session_svc.domain.access import Grant, NamePatterns, Scope
from session_svc.domain.errors import InvalidField, ScopeMissing, SessionForbidden, TokenMissing
from session_svc.domain.limits import AUTHOR_CHARACTERS
from session_svc.domain.message import NewMessage, Status
from session_svc.entropy import unique_id

AUTHOR_KEY: Final = "ai-chat-author"
REQUEST_ID_KEY: Final = "x-request-id"
TOKEN_KEY: Final = "authorization"  # noqa: S105 - The name of the key.
_REQUEST_ID_CHARACTERS: Final = 128
_SCHEME: Final = "bearer "

_process: Final = unique_id()[:12]
_calls: Final = count(1)


def value(metadata: object, key: str) -> str:
    """The text of `key` in a call's metadata; empty when there is none."""
    for name, text in metadata or ():  # type: ignore[attr-defined]
        if name == key:
            return text if isinstance(text, str) else ""
    return ""


def values(metadata: object, key: str) -> str:
    """All texts of `key` in a call's metadata, as one list with commas."""
    return ",".join(text for name, text in metadata or () if name == key)  # type: ignore[attr-defined]


def request_id(given: str) -> str:
    """The id that the caller gave, if it can stand in a log; else a new one."""
    if given and len(given) <= _REQUEST_ID_CHARACTERS and given.isascii() and given.isprintable():
        return given
    return f"{_process}-{next(_calls):x}"


def bearer(metadata: object) -> str:
    """The token that a call carries. Raises TokenMissing."""
    text = value(metadata, TOKEN_KEY)
    if text[: len(_SCHEME)].lower() != _SCHEME or not text[len(_SCHEME) :].strip():
        raise TokenMissing
    return text[len(_SCHEME) :].strip()


@dataclass(slots=True)
class Caller:
    """One caller, during one call.

    address  under what it is counted
    grant    what its token permits; None where no tokens are required: then it may do everything
    """

    metadata: object
    address: str
    token: str = ""
    grant: Grant | None = None

    @property
    def name(self) -> str:
        """The token's name; else what the caller calls itself, percent-decoded; empty when it does not say."""
        if self.grant is not None:
            return self.grant.name
        text = unquote(value(self.metadata, AUTHOR_KEY))
        if len(text) > AUTHOR_CHARACTERS or not text.isprintable():
            raise InvalidField(AUTHOR_KEY, f"use up to {AUTHOR_CHARACTERS} printable characters, percent-encoded")
        return text

    @property
    def sessions(self) -> NamePatterns | None:
        """Which sessions it may see; None: all."""
        return self.grant.sessions if self.grant is not None else None

    def may_touch(self, session: str) -> None:
        """Raises SessionForbidden when the session of this name is not for this caller."""
        if self.grant is not None and not self.grant.covers(session):
            raise SessionForbidden(self.grant.sessions)

    def signature(self, author: str, field: str) -> str:
        """The author of something that says it is by `author`. Raises ScopeMissing when that is somebody else."""
        if self.grant is None or author == self.grant.name:
            return author
        if author:
            self._must_be_admin(f"{field}: writing in the name of another than {self.grant.name!r}")
            return author
        return self.grant.name

    def signed(self, messages: Sequence[NewMessage], field: str) -> list[NewMessage]:
        """The messages under the caller's name. Raises ScopeMissing when they claim what it may not."""
        if self.grant is None:
            return list(messages)
        return [self._signed(message, f"{field}[{place}]") for place, message in enumerate(messages)]

    def _signed(self, message: NewMessage, field: str) -> NewMessage:
        if message.create_time is not None:
            self._must_be_admin(f"{field}.create_time: saying when a message was made")
        if message.status is not Status.COMPLETE:
            self._must_be_admin(f"{field}.status: saying how a message ended")
        author = self.signature(message.author, f"{field}.author")
        return message if author == message.author else replace(message, author=author)

    def _must_be_admin(self, what: str) -> None:
        if self.grant is not None and self.grant.scope < Scope.ADMIN:
            raise ScopeMissing(Scope.ADMIN, what)
