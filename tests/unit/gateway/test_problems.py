"""What session-svc refuses, as HTTP says it."""

import json
from typing import Any, Final

import grpc
import pytest
from ai_chat_client.errors import AiChatError, UnsupportedError, Violation
from aichat.session.v1.errors_pb2 import ErrorReason
from stream_gateway.http.problems import from_error

STATUSES: Final = {
    400: ("INVALID_NAME", "INVALID_FIELD", "REQUEST_ID_REUSED", "INVALID_PAGE_TOKEN"),
    413: ("TOO_LARGE",),
    404: ("SESSION_NOT_FOUND", "REPLY_NOT_FOUND"),
    409: ("SESSION_EXISTS", "REPLY_IN_PROGRESS", "REPLY_STOPPED", "REPLY_LOST", "UNUSABLE_DATA"),
    412: ("POSITION_CONFLICT",),
    401: ("TOKEN_MISSING", "TOKEN_INVALID"),
    403: ("SCOPE_MISSING", "SESSION_FORBIDDEN"),
    429: ("RATE_LIMITED", "TOO_MANY_STREAMS", "WATCHER_TOO_SLOW"),
    503: ("STORE_UNAVAILABLE", "DRAINING"),
    500: ("INTERNAL",),
}


def refused(reason: str, **facts: Any) -> AiChatError:  # noqa: ANN401 - Whatever an error takes.
    """A failure as the client raises it."""
    return AiChatError("a sentence", reason=reason, code=grpc.StatusCode.UNKNOWN, **facts)


def told(error: AiChatError) -> tuple[dict[str, str], dict[str, Any]]:
    """The headers and the body of the answer."""
    response = from_error(error).response()
    return dict(response.headers), json.loads(bytes(response.body))


@pytest.mark.parametrize(("status", "reason"), [(status, name) for status, names in STATUSES.items() for name in names])
def test_each_reason_has_its_status_and_is_passed_on(status: int, reason: str) -> None:
    headers, body = told(refused(reason))

    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert (body["type"], body["status"], body["reason"]) == ("about:blank", status, reason)
    assert body["title"]
    assert ("retry-after" in headers) == (status in (429, 503))
    assert ("www-authenticate" in headers) == (status == 401)


def test_no_reason_of_the_api_was_forgotten() -> None:
    named = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118 - No mapping.

    assert {name for names in STATUSES.values() for name in names} == named


@pytest.mark.parametrize("reason", ["UNREACHABLE", "TIMEOUT", "UNAVAILABLE"])
def test_whoever_does_not_answer_is_unavailable_for_now(reason: str) -> None:
    headers, body = told(refused(reason))

    assert (body["status"], body["reason"], headers["retry-after"]) == (503, "STORE_UNAVAILABLE", "1")


@pytest.mark.parametrize(("after", "seconds"), [(None, "1"), (0.0, "1"), (0.2, "1"), (2.0, "2"), (2.1, "3")])
def test_nobody_is_asked_to_come_back_too_early(after: float | None, seconds: str) -> None:
    for reason in ("RATE_LIMITED", "DRAINING", "UNREACHABLE"):
        assert told(refused(reason, retry_after=after))[0]["retry-after"] == seconds


def test_facts_and_the_fields_at_fault_are_members_and_the_position_a_header_too() -> None:
    conflict, body = told(refused("POSITION_CONFLICT", metadata={"position": "e.3"}))
    assert (conflict["session-position"], body["position"], body["detail"]) == ("e.3", "e.3", "a sentence")

    headers, body = told(refused("INVALID_FIELD", violations=[Violation("title", "is too long")]))
    assert body["errors"] == [{"field": "title", "problem": "is too long"}]
    assert "session-position" not in headers


@pytest.mark.parametrize("reason", ["INTERNAL", "UNKNOWN", "CLOSED"])
def test_a_defect_tells_nothing_of_itself(reason: str) -> None:
    _, body = told(refused(reason, metadata={"file": "secret"}))

    assert (body["status"], body["reason"]) == (500, "INTERNAL")
    assert "a sentence" not in json.dumps(body)
    assert "secret" not in json.dumps(body)


def test_what_the_session_service_cannot_do_yet_is_said_so() -> None:
    error = UnsupportedError("unknown method", reason="UNIMPLEMENTED", code=grpc.StatusCode.UNIMPLEMENTED)

    assert told(error)[1]["status"] == 501
