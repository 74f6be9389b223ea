"""Reading the details of a failed call."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # It has no stubs.
from grpc_status import rpc_status


@dataclass
class Failure:
    """What a caller is told."""

    status: grpc.StatusCode | None = None
    reason: str = ""
    text: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: list[tuple[str, str]] = field(default_factory=list)
    retry_after: float | None = None


@contextmanager
def fails() -> Iterator[Failure]:
    """The body fails with a status; what it says is there afterwards."""
    failure = Failure()
    with pytest.raises(grpc.RpcError) as caught:
        yield failure
    read(caught.value, failure)


def read(error: grpc.RpcError, failure: Failure) -> Failure:
    """Reads every detail of `error` into `failure`."""
    assert isinstance(error, grpc.Call)
    failure.status, failure.text = error.code(), error.details() or ""
    status = rpc_status.from_call(error)
    assert status is not None, f"no details: {error}"
    for detail in status.details:
        info, bad, retry = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.BadRequest(),
            error_details_pb2.RetryInfo(),
        )
        if detail.Unpack(info):
            assert info.domain == "aichat"
            failure.reason, failure.metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            failure.violations = [(violation.field, violation.description) for violation in bad.field_violations]
        elif detail.Unpack(retry):
            failure.retry_after = retry.retry_delay.ToMilliseconds() / 1000
    return failure
