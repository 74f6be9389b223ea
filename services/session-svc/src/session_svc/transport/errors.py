"""The one table from failures to gRPC statuses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import grpc
from aichat.session.v1 import errors_pb2
from google.protobuf.message import Message as ProtoMessage
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # It has no stubs.

from session_svc.domain import errors as failures
from session_svc.domain.errors import SessionServiceError

DOMAIN: Final = "aichat"
DETAILS_KEY: Final = "grpc-status-details-bin"
_TEXT_CHARACTERS: Final = 1000
_PREFIX: Final = "ERROR_REASON_"


class TooManyStreams(SessionServiceError):
    """This process serves as many streams as it may, or as many as it may for one caller."""

    retry_after = 5.0

    def __init__(self, limit: int, whose: str = "this server") -> None:
        super().__init__(f"{whose} has {limit} open streams, as many as are allowed; close one, or try again later")


def out_of_memory() -> failures.RateLimited:
    """This process has as much memory as it may: what is new, and what waits for its client, is given up."""
    return failures.RateLimited("this server has no memory to spare; try again", 2.0)


class Unexpected(SessionServiceError):
    """A defect; the details are in the log only."""

    def __init__(self) -> None:
        super().__init__("the server has failed in an unexpected way; its log says more under this request id")


class PlainFailure(Exception):
    """A failure of what is not ours (health, reflection): a status, and none of our reasons."""

    def __init__(self, status: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of failure travels.

    metadata  of the ErrorInfo, from the failure's facts
    """

    status: grpc.StatusCode
    reason: "errors_pb2.ErrorReason.ValueType"
    metadata: Callable[[SessionServiceError], dict[str, str]] | None = None


def _head(error: SessionServiceError) -> dict[str, str]:
    """Where the head is; empty where there is no session."""
    assert isinstance(error, failures.PositionConflict)  # noqa: S101 - The table pairs it with that type alone.
    return {"position": str(error.actual or "")}


def _scope(error: SessionServiceError) -> dict[str, str]:
    """Which scope is missing."""
    assert isinstance(error, failures.ScopeMissing)  # noqa: S101 - As above.
    return {"scope": error.scope.word}


_INVALID: Final = grpc.StatusCode.INVALID_ARGUMENT
_ABORTED: Final = grpc.StatusCode.ABORTED
_EXHAUSTED: Final = grpc.StatusCode.RESOURCE_EXHAUSTED
_DENIED: Final = grpc.StatusCode.PERMISSION_DENIED
_UNAUTHENTICATED: Final = grpc.StatusCode.UNAUTHENTICATED
_UNAVAILABLE: Final = grpc.StatusCode.UNAVAILABLE

TABLE: Final[dict[type[SessionServiceError], Rule]] = {
    failures.InvalidField: Rule(_INVALID, errors_pb2.ERROR_REASON_INVALID_FIELD),
    failures.InvalidName: Rule(_INVALID, errors_pb2.ERROR_REASON_INVALID_NAME),
    failures.TooLarge: Rule(_INVALID, errors_pb2.ERROR_REASON_TOO_LARGE),
    failures.InvalidPageToken: Rule(_INVALID, errors_pb2.ERROR_REASON_INVALID_PAGE_TOKEN),
    failures.RequestIdReused: Rule(_INVALID, errors_pb2.ERROR_REASON_REQUEST_ID_REUSED),
    failures.SessionNotFound: Rule(grpc.StatusCode.NOT_FOUND, errors_pb2.ERROR_REASON_SESSION_NOT_FOUND),
    failures.ReplyNotFound: Rule(grpc.StatusCode.NOT_FOUND, errors_pb2.ERROR_REASON_REPLY_NOT_FOUND),
    failures.SessionExists: Rule(grpc.StatusCode.ALREADY_EXISTS, errors_pb2.ERROR_REASON_SESSION_EXISTS),
    failures.PositionConflict: Rule(_ABORTED, errors_pb2.ERROR_REASON_POSITION_CONFLICT, _head),
    failures.ReplyInProgress: Rule(_ABORTED, errors_pb2.ERROR_REASON_REPLY_IN_PROGRESS),
    failures.ReplyStopped: Rule(_ABORTED, errors_pb2.ERROR_REASON_REPLY_STOPPED),
    failures.ReplyLost: Rule(_ABORTED, errors_pb2.ERROR_REASON_REPLY_LOST),
    failures.UnusableData: Rule(grpc.StatusCode.FAILED_PRECONDITION, errors_pb2.ERROR_REASON_UNUSABLE_DATA),
    failures.TokenMissing: Rule(_UNAUTHENTICATED, errors_pb2.ERROR_REASON_TOKEN_MISSING),
    failures.TokenInvalid: Rule(_UNAUTHENTICATED, errors_pb2.ERROR_REASON_TOKEN_INVALID),
    failures.ScopeMissing: Rule(_DENIED, errors_pb2.ERROR_REASON_SCOPE_MISSING, _scope),
    failures.SessionForbidden: Rule(_DENIED, errors_pb2.ERROR_REASON_SESSION_FORBIDDEN),
    failures.RateLimited: Rule(_EXHAUSTED, errors_pb2.ERROR_REASON_RATE_LIMITED),
    failures.WatcherTooSlow: Rule(_EXHAUSTED, errors_pb2.ERROR_REASON_WATCHER_TOO_SLOW),
    TooManyStreams: Rule(_EXHAUSTED, errors_pb2.ERROR_REASON_TOO_MANY_STREAMS),
    failures.StoreUnavailable: Rule(_UNAVAILABLE, errors_pb2.ERROR_REASON_STORE_UNAVAILABLE),
    failures.Draining: Rule(_UNAVAILABLE, errors_pb2.ERROR_REASON_DRAINING),
    Unexpected: Rule(grpc.StatusCode.INTERNAL, errors_pb2.ERROR_REASON_INTERNAL),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure as gRPC carries it; `details` is a serialized google.rpc.Status."""

    status: grpc.StatusCode
    reason: str
    text: str
    details: bytes


def failure(error: SessionServiceError) -> Failure:
    """How `error` travels. Raises KeyError for a type that the table lacks."""
    rule = TABLE[type(error)]
    reason = errors_pb2.ErrorReason.Name(rule.reason).removeprefix(_PREFIX)
    metadata = rule.metadata(error) if rule.metadata else {}
    text = str(error)[:_TEXT_CHARACTERS]
    status = status_pb2.Status(code=rule.status.value[0], message=text)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata))
    for detail in _details(error, rule.status):
        status.details.add().Pack(detail)
    return Failure(rule.status, reason, text, status.SerializeToString())


def _details(error: SessionServiceError, status: grpc.StatusCode) -> list[ProtoMessage]:
    if status is _INVALID:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=getattr(error, "field", "")[:_TEXT_CHARACTERS], description=_problem(error)[:_TEXT_CHARACTERS]
        )
        return [error_details_pb2.BadRequest(field_violations=[violation])]
    if status in {_EXHAUSTED, _UNAVAILABLE}:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after * 1000))  # type: ignore[attr-defined]
        return [retry]
    return []


def _problem(error: SessionServiceError) -> str:
    return getattr(error, "problem", "") or str(error)
