"""Requests of the proto into the domain, every limit checked."""

from collections.abc import Sequence
from typing import Final

from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api

from session_svc.application.filters import SessionFilter
from session_svc.application.observations import After, Start, Tail
from session_svc.domain import limits
from session_svc.domain.access import NamePatterns
from session_svc.domain.errors import InvalidField
from session_svc.domain.message import NewMessage, Role, Status
from session_svc.domain.session import KEEP, NewSession, SessionChange
from session_svc.transport import checks

ROLES: Final = {
    pb.ROLE_USER: Role.USER,
    pb.ROLE_ASSISTANT: Role.ASSISTANT,
    pb.ROLE_SYSTEM: Role.SYSTEM,
    pb.ROLE_TOOL: Role.TOOL,
}
WRITABLE: Final = {
    pb.MESSAGE_STATUS_UNSPECIFIED: Status.COMPLETE,
    pb.MESSAGE_STATUS_COMPLETE: Status.COMPLETE,
    pb.MESSAGE_STATUS_INTERRUPTED: Status.INTERRUPTED,
    pb.MESSAGE_STATUS_FAILED: Status.FAILED,
}
CHANGEABLE: Final = frozenset({"title", "ttl", "labels"})

ListRequest = api.ListSessionsRequest | api.WatchSessionsRequest


def new_session(request: api.CreateSessionRequest, owner: str) -> NewSession:
    """What a session is created with."""
    return NewSession(
        title=checks.characters(request.title, limits.TITLE_CHARACTERS, "title"),
        ttl=checks.ttl(request.ttl) if request.HasField("ttl") else None,
        labels=checks.labels(request.labels),
        owner=owner,
    )


def session_change(request: api.UpdateSessionRequest) -> SessionChange:
    """What an update sets."""
    paths = frozenset(request.update_mask.paths)
    if not paths or not paths <= CHANGEABLE:
        raise InvalidField("update_mask", "name at least one of title, ttl and labels, and nothing else")
    ttl = checks.ttl(request.ttl) if request.HasField("ttl") else None
    return SessionChange(
        title=checks.characters(request.title, limits.TITLE_CHARACTERS, "title") if "title" in paths else KEEP,
        ttl=ttl if "ttl" in paths else KEEP,
        labels=checks.labels(request.labels) if "labels" in paths else KEEP,
    )


def session_filter(request: ListRequest, visible: NamePatterns | None) -> SessionFilter:
    """Which sessions are asked for, of those that are visible."""
    return SessionFilter(
        query=checks.characters(request.query, limits.EXISTING_NAME_CHARACTERS, "query"),
        labels=checks.labels(request.labels),
        owner=checks.characters(request.owner, limits.AUTHOR_CHARACTERS, "owner"),
        visible=visible,
    )


def new_messages(given: Sequence[pb.Message]) -> list[NewMessage]:
    """The messages of an append."""
    if not 1 <= len(given) <= limits.MESSAGES_PER_APPEND:
        raise InvalidField(
            "messages", f"{len(given)} messages; send 1 to {limits.MESSAGES_PER_APPEND} at once, more in several calls"
        )
    return [new_message(message, f"messages[{place}].") for place, message in enumerate(given)]


def new_message(message: pb.Message, field: str) -> NewMessage:
    """A message as a writer gives it; `field` stands before the names of its fields in errors."""
    role = ROLES.get(message.role)
    if role is None:
        raise InvalidField(field + "role", "not known; use USER, ASSISTANT, SYSTEM or TOOL")
    status = WRITABLE.get(message.status)
    if status is None:
        raise InvalidField(field + "status", "not for writers; use COMPLETE, INTERRUPTED or FAILED")
    return NewMessage(
        role,
        checks.size(message.content, limits.CONTENT_BYTES, field + "content"),
        checks.identifier(message.id, field + "id"),
        checks.characters(message.author, limits.AUTHOR_CHARACTERS, field + "author"),
        checks.characters(message.model, limits.AUTHOR_CHARACTERS, field + "model"),
        checks.time(message.create_time, field + "create_time") if message.HasField("create_time") else None,
        status,
        checks.characters(message.status_reason, limits.STATUS_REASON_CHARACTERS, field + "status_reason"),
        checks.attributes(message.attributes, message.content, field + "attributes"),
    )


def extent(request: api.TruncateSessionRequest) -> tuple[int | None, int | None]:
    """How many messages to keep, or how many to remove."""
    match request.WhichOneof("extent"):
        case "keep":
            if request.keep < 0:
                raise InvalidField("keep", f"{request.keep} is negative; use 0 to remove all messages")
            return request.keep, None
        case "remove_last":
            return None, checks.count(request.remove_last, 1, limits.MESSAGES_PER_TRUNCATE, "remove_last")
        case _:
            raise InvalidField("extent", "missing; set keep or remove_last")


def watch_start(request: api.WatchSessionRequest) -> Start:
    """Where a watch begins."""
    if request.WhichOneof("start") == "after_position":
        return After(request.after_position)
    return Tail(checks.count(request.tail, 0, limits.SNAPSHOT_TAIL, "tail"))
