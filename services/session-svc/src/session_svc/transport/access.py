"""The one table of who may call what."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from aichat.session.v1 import session_service_pb2 as api

from session_svc.domain.access import Scope


@dataclass(frozen=True, slots=True)
class Access:
    """What a call needs.

    session  the name of the session that a request is about; None: about none in particular
    """

    scope: Scope
    session: Callable[[Any], str | None]


def _none(_: object) -> None:
    return None


def _of_start(frame: api.StreamReplyRequest) -> str | None:
    return frame.start.session if frame.HasField("start") else None


def _to_create(request: api.CreateSessionRequest) -> str | None:
    """None where the name is still to be made up."""
    return request.name or None


_name: Final = attrgetter("name")
_session: Final = attrgetter("session")

TABLE: Final = {
    "CreateSession": Access(Scope.WRITE, _to_create),
    "GetSession": Access(Scope.READ, _name),
    "ListSessions": Access(Scope.READ, _none),
    "UpdateSession": Access(Scope.WRITE, _name),
    "DeleteSession": Access(Scope.WRITE, _name),
    "ClearSession": Access(Scope.WRITE, _name),
    "TruncateSession": Access(Scope.WRITE, _name),
    "AppendMessages": Access(Scope.WRITE, _session),
    "ListMessages": Access(Scope.READ, _session),
    "GetSnapshot": Access(Scope.READ, _session),
    "StreamReply": Access(Scope.WRITE, _of_start),
    "StopReply": Access(Scope.WRITE, _session),
    "WatchSession": Access(Scope.READ, _session),
    "WatchSessions": Access(Scope.READ, _none),
}
"""By method. A method that is not here cannot be served."""
