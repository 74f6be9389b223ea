"""Every way a call can fail, as types that carry the facts.

`transport.errors` holds the one table that turns them into statuses.
"""

from session_svc.domain.access import NamePatterns, Scope
from session_svc.domain.names import RULE
from session_svc.domain.position import Position


class SessionServiceError(Exception):
    """What a caller can be told. The text names the remedy where there is one."""


class InvalidField(SessionServiceError):
    """A field is missing, malformed or outside its range."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class InvalidName(SessionServiceError):
    """No session can be created, or exists, under this name."""

    def __init__(self, field: str = "name") -> None:
        super().__init__(f"{field}: not a name for a session; use {RULE}")
        self.field = field
        self.problem = f"not a name for a session; use {RULE}"


class TooLarge(SessionServiceError):
    """Something exceeds a documented size; nothing was stored."""

    def __init__(self, field: str, size: int, limit: int) -> None:
        self.problem = f"{size} bytes are more than the {limit} allowed"
        super().__init__(f"{field}: {self.problem}")
        self.field = field


class InvalidPageToken(SessionServiceError):
    """The page token is malformed or belongs to another request."""

    def __init__(self) -> None:
        super().__init__("page_token: not of this request; start again without one")


class RequestIdReused(SessionServiceError):
    """The request id was used before with another body."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"request_id: {request_id} was used before with other messages; use a new one")
        self.request_id = request_id


class SessionNotFound(SessionServiceError):
    """There is no such session, or it has expired."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no session {name!r}")
        self.name = name


class SessionExists(SessionServiceError):
    """The name is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a session {name!r} already; choose another name or allow an existing one")
        self.name = name


class PositionConflict(SessionServiceError):
    """The head is elsewhere than expected, or a position is of another epoch. `actual` is the head."""

    def __init__(self, actual: Position | None) -> None:
        where = f"the head is {actual}" if actual else "the session does not exist"
        super().__init__(f"the session is not where you expected it: {where}; read it again")
        self.actual = actual


class ReplyNotFound(SessionServiceError):
    """No reply, or not the one named, is being written."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no such reply is being written in session {name!r}")
        self.name = name


class ReplyInProgress(SessionServiceError):
    """The session's reply slot is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(f"another reply is being written in session {name!r}; wait for its end, or stop it")
        self.name = name


class ReplyStopped(SessionServiceError):
    """Someone stopped the reply; what was said is kept."""

    def __init__(self) -> None:
        super().__init__("the reply was stopped; what was said is kept as an interrupted message")


class ReplyLost(SessionServiceError):
    """The reply is no longer the writer's: its lease ended, or the session was cleared, shortened or deleted."""

    def __init__(self) -> None:
        super().__init__("the reply is lost: its lease ended, or its session was cleared, truncated or deleted")


class UnusableData(SessionServiceError):
    """A key of another type, or data of a newer version, is in the way; nothing was written."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"the stored data of session {name!r} cannot be used: {problem}")
        self.name = name


class TokenMissing(SessionServiceError):
    """The call carries no token and this deployment requires one."""

    def __init__(self) -> None:
        super().__init__("a token is required; send it as `authorization: Bearer <token>` (`ai-chat login` keeps one)")


class TokenInvalid(SessionServiceError):
    """The token is unknown, expired or revoked."""

    def __init__(self) -> None:
        super().__init__("the token is unknown, expired or revoked; ask whoever runs this server for another one")


class ScopeMissing(SessionServiceError):
    """The token does not permit this; `scope` would."""

    def __init__(self, scope: Scope, what: str) -> None:
        super().__init__(f"{what} needs a token with the scope {scope.word!r}, which this one lacks")
        self.scope = scope


class SessionForbidden(SessionServiceError):
    """The token is not for sessions of this name, whether there is one or not."""

    def __init__(self, allowed: NamePatterns | None) -> None:
        super().__init__(
            f"this token is only for sessions whose names match {allowed}; use such a name, or another token"
        )


class RateLimited(SessionServiceError):
    """Too many of something in a time; `retry_after` in seconds."""

    def __init__(self, problem: str, retry_after: float) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


class WatcherTooSlow(SessionServiceError):
    """A watcher did not read as fast as events came; it watches again from its last position."""

    retry_after = 0.5

    def __init__(self) -> None:
        super().__init__("events came faster than they were read; watch again from the last position you saw")


class StoreUnavailable(SessionServiceError):
    """The store does not answer: a write may or may not have happened. `retry_after` in seconds."""

    retry_after = 1.0

    def __init__(self, problem: str = "the store does not answer") -> None:
        super().__init__(f"{problem}; try again, a write with the same request_id")


class Draining(SessionServiceError):
    """The stream or call ends here and may go on elsewhere. `retry_after` in seconds, spread out so that callers do
    not return at once."""

    def __init__(
        self, retry_after: float, problem: str = "this server is stopping; call again and reach another one"
    ) -> None:
        super().__init__(problem)
        self.retry_after = retry_after
