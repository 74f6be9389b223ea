"""What a script's refusal means."""

from session_svc.domain.errors import (
    InvalidName,
    PositionConflict,
    RateLimited,
    RequestIdReused,
    SessionExists,
    SessionNotFound,
    SessionServiceError,
    UnusableData,
)
from session_svc.domain.position import Position
from session_svc.storage.redis.connection import Answer


def error(name: str, refusal: list[Answer]) -> SessionServiceError:
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
        case ["REQUEST_ID_REUSED"]:
            return RequestIdReused("")
        case ["RATE_LIMITED", str(wait_ms)]:
            return RateLimited("this session has answered 10,000 request ids today", int(wait_ms) / 1000)
    raise AssertionError(f"a script answered {refusal!r}")
