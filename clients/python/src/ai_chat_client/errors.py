"""Every way in which a call can fail."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # Published without types.

UNREACHABLE = "UNREACHABLE"
"""The reason of a failure that no server reported: there was no connection, or it broke."""
TIMEOUT = "TIMEOUT"
"""The reason of a call that was not answered in time."""
CLOSED = "CLOSED"
"""The reason of a call that was in flight, or made, when its client was closed."""

_CAUSES = {
    "CERTIFICATE_VERIFY_FAILED: certificate has expired": "its certificate has expired",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not from a trusted authority; name the file of one with tls_ca "
    "(--tls-ca)",
    "Hostname Verification Check failed": "its certificate is for another host name",
    "WRONG_VERSION_NUMBER": "it does not speak TLS; http:// is for servers without encryption",
    "Trying to connect an http1.x server": "it speaks HTTP/1; perhaps that is the page's address: the session service "
    "has another, by default port 50051",
}
"""What gRPC's texts mean, by a part of them."""

_NO_CONNECTION = ("connections to all backends failing", "failed to connect to all addresses")
"""How gRPC's balancers (round robin, and the one of a single address) refuse a call for which they have no connection.

Nothing else tells it: the status is that of a connection that broke under a call. To wait for a connection before the
call is no way out, gRPC's own means for that (`channel_ready_future`) leaves a thread that fails when the channel is
closed.
"""

_DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Violation:
    """One field of a request that the server refused."""

    field: str
    description: str


class AiChatError(Exception):
    """A call failed. Catch this for every failure, or a subclass for one kind.

    `reason`: the name from the API's ErrorReason without its prefix, for example "SESSION_NOT_FOUND"; for failures that
    the service did not report itself UNREACHABLE, TIMEOUT, CLOSED or the name of the gRPC status. `message`: a sentence
    for people. `metadata`: facts, for example {"position": "<head>"} of POSITION_CONFLICT. `retry_after`: seconds until
    it is worth calling again, None when the server did not say. `violations`: the fields at fault. `never_sent`: no
    server can have seen the call, because there was no connection to one.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        code: grpc.StatusCode,
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        violations: Sequence[Violation] = (),
        never_sent: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.code = code
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        self.violations = tuple(violations)
        self.never_sent = never_sent


class InvalidRequestError(AiChatError):
    """The request is wrong and will be wrong again: INVALID_NAME, INVALID_FIELD, TOO_LARGE, ..."""


class NotFoundError(AiChatError):
    """SESSION_NOT_FOUND or REPLY_NOT_FOUND."""


class ConflictError(AiChatError):
    """The session is not as assumed: SESSION_EXISTS, POSITION_CONFLICT, REPLY_IN_PROGRESS, UNUSABLE_DATA, ..."""

    @property
    def position(self) -> str | None:
        """Of POSITION_CONFLICT: where the head is."""
        return self.metadata.get("position")


class ReplyStopped(ConflictError):
    """Someone stopped the reply that was being written (REPLY_STOPPED); what was said is kept."""


class ReplyLost(ConflictError):
    """The reply is no longer its writer's (REPLY_LOST).

    Its lease was over, or its session was cleared, shortened or deleted.
    """


class NotAllowedError(AiChatError):
    """TOKEN_MISSING, TOKEN_INVALID, SCOPE_MISSING or SESSION_FORBIDDEN."""


class LimitedError(AiChatError):
    """RATE_LIMITED, TOO_MANY_STREAMS or WATCHER_TOO_SLOW: later it will work; see `retry_after`."""


class UnavailableError(AiChatError):
    """STORE_UNAVAILABLE, DRAINING, UNREACHABLE or TIMEOUT. Whether a write happened is unknown."""


class UnsupportedError(AiChatError):
    """The server does not know this call: it is of an older version."""


class ClosedError(AiChatError):
    """The client was closed."""


class InternalError(AiChatError):
    """A defect; the server's log has the details."""


_CLASSES: dict[grpc.StatusCode, type[AiChatError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: ConflictError,
    grpc.StatusCode.ABORTED: ConflictError,
    grpc.StatusCode.FAILED_PRECONDITION: ConflictError,
    grpc.StatusCode.UNAUTHENTICATED: NotAllowedError,
    grpc.StatusCode.PERMISSION_DENIED: NotAllowedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: LimitedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: UnavailableError,
    grpc.StatusCode.UNIMPLEMENTED: UnsupportedError,
}

_OF_REASON: dict[str, type[AiChatError]] = {
    "REPLY_STOPPED": ReplyStopped,
    "REPLY_LOST": ReplyLost,
    "TOO_LARGE": InvalidRequestError,
}


def from_rpc(failure: grpc.RpcError, server: str) -> AiChatError:
    """Reads a gRPC failure and its google.rpc details; `server` is named when it could not be reached."""
    code: grpc.StatusCode = failure.code()
    text: str = failure.details() or ""
    reason, metadata, retry_after, violations = "", {}, None, []
    for detail in _details(failure.trailing_metadata() or ()):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            violations = [Violation(item.field, item.description) for item in bad.field_violations]
    never_sent = not reason and any(words in text for words in _NO_CONNECTION)
    if not reason:
        reason, text = _unreported(code, text, server)
    kind = _OF_REASON.get(reason) or _CLASSES.get(code, InternalError)
    return kind(
        text or reason,
        reason=reason,
        code=code,
        metadata=metadata,
        retry_after=retry_after,
        violations=violations,
        never_sent=never_sent,
    )


def unreachable(server: str, why: str) -> UnavailableError:
    """The failure of a connection that broke or fell silent."""
    return UnavailableError(f"no answer from {server}: {why}", reason=UNREACHABLE, code=grpc.StatusCode.UNAVAILABLE)


def closed() -> ClosedError:
    """The failure of a call on a client that is, or is being, closed."""
    return ClosedError("this client is closed", reason=CLOSED, code=grpc.StatusCode.CANCELLED)


def _unreported(code: grpc.StatusCode, text: str, server: str) -> tuple[str, str]:
    if code is grpc.StatusCode.UNAVAILABLE:
        # gRPC's text begins with its inner workings; the cause is at its end.
        why = next((why for part, why in _CAUSES.items() if part in text), ": ".join(text.split(": ")[-2:]))
        return UNREACHABLE, f"no answer from {server}: {why}"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return TIMEOUT, f"{server} did not answer in time"
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in text:
        # gRPC's own refusal, before the service has seen it: no later attempt helps.
        return "TOO_LARGE", f"the request or its answer is too large: {text}"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return code.name, f"{server} does not know this call; is it an ai-chat session service of this version?"
    return code.name, text


def _details(trailing: Iterable[Any]) -> Iterable[any_pb2.Any]:
    for key, value in trailing:
        if key == _DETAILS_KEY:
            return list(status_pb2.Status.FromString(value).details)
    return ()
