"""Refusals as RFC 9457 problem details, each with the reason by which a program can tell it."""

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from ai_chat_client.errors import AiChatError, UnsupportedError
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"

_STATUSES: Final = {
    "INVALID_NAME": 400,
    "INVALID_FIELD": 400,
    "REQUEST_ID_REUSED": 400,
    "INVALID_PAGE_TOKEN": 400,
    "TOO_LARGE": 413,
    "SESSION_NOT_FOUND": 404,
    "REPLY_NOT_FOUND": 404,
    "SESSION_EXISTS": 409,
    "REPLY_IN_PROGRESS": 409,
    "REPLY_STOPPED": 409,
    "REPLY_LOST": 409,
    "UNUSABLE_DATA": 409,
    "POSITION_CONFLICT": 412,
    "TOKEN_MISSING": 401,
    "TOKEN_INVALID": 401,
    "SCOPE_MISSING": 403,
    "SESSION_FORBIDDEN": 403,
    "RATE_LIMITED": 429,
    "TOO_MANY_STREAMS": 429,
    "WATCHER_TOO_SLOW": 429,
    "STORE_UNAVAILABLE": 503,
    "DRAINING": 503,
}
CHALLENGE: Final = {"www-authenticate": "Bearer"}
"""What every 401 carries."""
_OUT_OF_REACH: Final = frozenset({"UNREACHABLE", "TIMEOUT", "UNAVAILABLE"})


class Problem(Exception):
    """A request that is refused. `detail` names the remedy where there is one; `facts` are members of their own."""

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = dict(headers or {})
        self.facts = dict(facts or {})

    def response(self) -> Response:
        """The answer that says so."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "reason": self.reason,
            **self.facts,
        }
        headers = {"cache-control": "no-store", **self.headers}
        return Response(json.dumps(body, ensure_ascii=False), self.status, headers, MEDIA_TYPE)


def from_error(error: AiChatError) -> Problem:
    """The refusal that passes on what session-svc said, or that it said nothing."""
    if error.reason in _OUT_OF_REACH:
        return unavailable("STORE_UNAVAILABLE", "the session service does not answer; try again", error.retry_after)
    if isinstance(error, UnsupportedError):
        return Problem(501, "UNIMPLEMENTED", "the session service cannot do this yet")
    status = _STATUSES.get(error.reason)
    if status is None:
        return Problem(500, "INTERNAL", "something went wrong; the log of the service has the details")
    facts: dict[str, Any] = dict(error.metadata)
    if error.violations:
        facts["errors"] = [{"field": item.field, "problem": item.description} for item in error.violations]
    headers = {}
    if status in (429, 503):
        headers["retry-after"] = _seconds(error.retry_after)
    if "position" in error.metadata:
        headers["session-position"] = error.metadata["position"]
    if status == 401:
        headers |= CHALLENGE
    return Problem(status, error.reason, error.message, headers=headers, facts=facts)


def unauthenticated(reason: str, detail: str) -> Problem:
    """A refusal of whoever has not shown who they are."""
    return Problem(401, reason, detail, headers=CHALLENGE)


def too_many(reason: str, detail: str, retry_after: float) -> Problem:
    """A refusal of more than one caller, or all of them, may have. `retry_after`: seconds."""
    return Problem(429, reason, detail, headers={"retry-after": _seconds(retry_after)})


def unavailable(reason: str, detail: str, retry_after: float | None = None) -> Problem:
    """A refusal that a later repetition may not meet. `retry_after`: seconds."""
    return Problem(503, reason, detail, headers={"retry-after": _seconds(retry_after)})


def _seconds(retry_after: float | None) -> str:
    return str(max(1, math.ceil(retry_after or 1.0)))
