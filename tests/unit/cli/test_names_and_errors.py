"""What people are told when something does not exist or fails."""

import grpc
import pytest
from ai_chat_cli.explain import explain
from ai_chat_cli.failure import ExitCode
from ai_chat_cli.names import close_matches, suggestion
from ai_chat_client.errors import (
    AiChatError,
    ConflictError,
    InternalError,
    InvalidRequestError,
    LimitedError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)


def test_names_that_look_alike_are_found_in_any_case() -> None:
    names = ["my-project", "My-Projects", "other", "mine"]
    assert close_matches("my-projct", names)[:2] == ["my-project", "My-Projects"]
    assert close_matches("OTHER", names) == ["other"]
    assert close_matches("zzz", names) == []


def test_a_suggestion_is_a_question() -> None:
    assert suggestion(["a", "b"]) == "did you mean 'a' or 'b'?"
    assert suggestion([]) == ""


@pytest.mark.parametrize(
    ("kind", "reason", "exit_code", "remedy"),
    [
        (InvalidRequestError, "INVALID_NAME", ExitCode.USAGE, ""),
        (NotFoundError, "SESSION_NOT_FOUND", ExitCode.NOT_FOUND, "ai-chat list"),
        (ConflictError, "SESSION_EXISTS", ExitCode.CONFLICT, "another name"),
        (ConflictError, "POSITION_CONFLICT", ExitCode.CONFLICT, "try again"),
        (UnavailableError, "UNREACHABLE", ExitCode.UNAVAILABLE, "--server"),
        (LimitedError, "RATE_LIMITED", ExitCode.UNAVAILABLE, "later"),
        (NotAllowedError, "TOKEN_MISSING", ExitCode.NOT_ALLOWED, "--token-file"),
        (InternalError, "INTERNAL", ExitCode.OTHER, "log"),
    ],
)
def test_each_failure_is_one_line_with_a_remedy_and_an_exit_code(
    kind: type[AiChatError], reason: str, exit_code: ExitCode, remedy: str
) -> None:
    failure = explain(kind("it went wrong.", reason=reason, code=grpc.StatusCode.UNKNOWN))
    assert failure.exit_code is exit_code
    assert str(failure).startswith("it went wrong")
    assert remedy in str(failure)
    assert "\n" not in str(failure)


def test_of_the_one_message_that_was_sent_no_number_is_told() -> None:
    error = InvalidRequestError("messages[0].content: too much.", reason="TOO_LARGE", code=grpc.StatusCode.UNKNOWN)
    assert str(explain(error)) == "content: too much"
