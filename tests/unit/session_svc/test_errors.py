"""The table from failures to statuses is total, and travels as the contract says."""

import grpc
import pytest
from aichat.session.v1 import errors_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # It has no stubs.
from session_svc.domain import errors as failures
from session_svc.domain.access import NamePatterns, Scope
from session_svc.domain.errors import SessionServiceError
from session_svc.domain.position import Position
from session_svc.transport import errors
from session_svc.transport.errors import TABLE, failure

STATUSES = {
    "INVALID_NAME": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_FIELD": grpc.StatusCode.INVALID_ARGUMENT,
    "REQUEST_ID_REUSED": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_PAGE_TOKEN": grpc.StatusCode.INVALID_ARGUMENT,
    "TOO_LARGE": grpc.StatusCode.INVALID_ARGUMENT,
    "SESSION_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "REPLY_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "SESSION_EXISTS": grpc.StatusCode.ALREADY_EXISTS,
    "REPLY_IN_PROGRESS": grpc.StatusCode.ABORTED,
    "REPLY_STOPPED": grpc.StatusCode.ABORTED,
    "REPLY_LOST": grpc.StatusCode.ABORTED,
    "POSITION_CONFLICT": grpc.StatusCode.ABORTED,
    "UNUSABLE_DATA": grpc.StatusCode.FAILED_PRECONDITION,
    "TOKEN_MISSING": grpc.StatusCode.UNAUTHENTICATED,
    "TOKEN_INVALID": grpc.StatusCode.UNAUTHENTICATED,
    "SCOPE_MISSING": grpc.StatusCode.PERMISSION_DENIED,
    "SESSION_FORBIDDEN": grpc.StatusCode.PERMISSION_DENIED,
    "RATE_LIMITED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "TOO_MANY_STREAMS": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "WATCHER_TOO_SLOW": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "STORE_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "DRAINING": grpc.StatusCode.UNAVAILABLE,
}

LONG = "😀" * 256
EXAMPLES: list[SessionServiceError] = [
    failures.InvalidField("messages[3].content", "too odd"),
    failures.InvalidName("session"),
    failures.TooLarge("messages[0].content", 2, 1),
    failures.InvalidPageToken(),
    failures.RequestIdReused("r"),
    failures.SessionNotFound(LONG),
    failures.ReplyNotFound(LONG),
    failures.SessionExists(LONG),
    failures.PositionConflict(Position("epoch", 7)),
    failures.ReplyInProgress(LONG),
    failures.ReplyStopped(),
    failures.ReplyLost(),
    failures.UnusableData(LONG, "a key of another type"),
    failures.TokenMissing(),
    failures.TokenInvalid(),
    failures.ScopeMissing(Scope.ADMIN, "messages[0].author: writing in the name of another"),
    failures.SessionForbidden(NamePatterns(("team-*",) * 100)),
    failures.RateLimited("too many", 60.0),
    failures.WatcherTooSlow(),
    failures.StoreUnavailable(),
    failures.Draining(1.5),
    errors.TooManyStreams(5),
    errors.Unexpected(),
]


def kinds(base: type[SessionServiceError]) -> set[type[SessionServiceError]]:
    """Every failure there is."""
    return {kind for child in base.__subclasses__() for kind in ({child} | kinds(child))}


def test_every_failure_of_the_service_has_a_status() -> None:
    assert kinds(SessionServiceError) == set(TABLE)
    assert {type(example) for example in EXAMPLES} == set(TABLE)


def test_every_reason_that_can_occur_is_sent_with_the_status_of_the_contract() -> None:
    names = {name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.keys()}  # noqa: SIM118 - Not a dict.
    sent = {failure(example).reason: failure(example).status for example in EXAMPLES}
    assert set(sent) == names - {"UNSPECIFIED"}
    assert {reason: sent[reason] for reason in STATUSES} == STATUSES


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_the_details_say_what_a_program_needs(example: SessionServiceError) -> None:
    failed = failure(example)
    status = status_pb2.Status.FromString(failed.details)
    assert (status.code, status.message) == (failed.status.value[0], failed.text)
    details = {detail.TypeName(): detail for detail in status.details}
    info = error_details_pb2.ErrorInfo()
    assert details["google.rpc.ErrorInfo"].Unpack(info)
    assert (info.domain, info.reason) == ("aichat", failed.reason)
    assert ("google.rpc.BadRequest" in details) == (failed.status is grpc.StatusCode.INVALID_ARGUMENT)
    retried = {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
    assert ("google.rpc.RetryInfo" in details) == (failed.status in retried)
    # In the worst case every byte of the text becomes three, and details four for three: below gRPC's 8 KiB.
    assert 3 * len(failed.text.encode()) + 4 * len(failed.details) // 3 < 7 * 1024


def test_a_conflict_says_where_the_head_is() -> None:
    def position(error: SessionServiceError) -> str:
        info = error_details_pb2.ErrorInfo()
        assert status_pb2.Status.FromString(failure(error).details).details[0].Unpack(info)
        return str(info.metadata["position"])

    assert position(failures.PositionConflict(Position("epoch", 7))) == "epoch.7"
    assert position(failures.PositionConflict(None)) == ""


def test_a_time_to_wait_is_told_to_the_millisecond() -> None:
    retry = error_details_pb2.RetryInfo()
    assert status_pb2.Status.FromString(failure(failures.Draining(1.5)).details).details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1500


def test_a_refused_field_is_named() -> None:
    status = status_pb2.Status.FromString(failure(EXAMPLES[0]).details)
    bad = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(bad)
    [violation] = bad.field_violations
    assert (violation.field, violation.description) == ("messages[3].content", "too odd")
