"""What a script's refusal means."""

from session_svc.domain.errors import (
    InvalidName,
    PositionConflict,
    RateLimited,
    ReplyInProgress,
    ReplyLost,
    ReplyNotFound,
    RequestIdReused,
    SessionExists,
    SessionNotFound,
    SessionServiceError,
    UnusableData,
)
from session_svc.domain.position import Position
from session_svc.storage.redis.connection import Answer


def error(name: str, refusal: list[Answer]) -> SessionServiceError:  # noqa: C901 - One case a reason.
    """The error that `refusal`, [reason, detail...], of a script about session `name` stands for."""
    match refusal:
        case ["SESSION_NOT_FOUND"]:
            return SessionNotFound(name)
        case ["SESSION_EXISTS"]:
            return SessionExists(name)
        case ["INVALID_NAME"]:
            return InvalidName()
        case ["POSITION_CONFLICT", str(head)]:
            return PositionConflict(Position.parse(head))
        case ["UNUSABLE_DATA", str(problem)]:
            return UnusableData(name, problem)
        case ["REPLY_IN_PROGRESS"]:
            return ReplyInProgress(name)
        case ["REPLY_LOST"]:
            return ReplyLost()
        case ["REPLY_NOT_FOUND"]:
            return ReplyNotFound(name)
        case ["REQUEST_ID_REUSED"]:
            return RequestIdReused("")
        case ["RATE_LIMITED", str(wait_ms)]:
            return RateLimited("this session has answered 10,000 request ids today", int(wait_ms) / 1000)
    raise AssertionError(f"a script answered {refusal!r}")
