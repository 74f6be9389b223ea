"""/api/sessions: lists, history and writes, each one call to session-svc."""

import json
from collections.abc import Iterable
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from ai_chat_client import (
    AsyncClient,
    JsonError,
    Message,
    Session,
    message_to_json,
    messages_from_json,
    session_to_json,
)
from ai_chat_client.rawjson import members
from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from stream_gateway.http.answers import NO_SESSION, with_headers
from stream_gateway.http.bodies import (
    Appended,
    CreateBody,
    EmptyBody,
    MessageJson,
    SessionJson,
    StopBody,
    Stopped,
    TruncateBody,
    Truncated,
    UpdateBody,
    milliseconds,
)
from stream_gateway.http.names import SessionName, encode_segment
from stream_gateway.http.problems import Problem

Limit = Annotated[int | None, Query(ge=1, le=1000)]
IfMatch = Annotated[
    str | None, Header(description='Do it only while this is the head; "": only while there are no messages')
]
IdempotencyKey = Annotated[
    str | None, Header(description="The same key with the same body is answered as the first time, and changes nothing")
]

_Answers = dict[int | str, dict[str, Any]]
_POSITION: Final = "session-position"
_AT_HEAD: Final[_Answers] = {200: with_headers({}, "Session-Position")}
_CREATED: Final[_Answers] = {
    200: with_headers({"model": SessionJson, "description": "It was there"}, "Location", "Session-Position"),
    201: with_headers({}, "Location", "Session-Position"),
}
_LISTED: Final[_Answers] = {200: with_headers({}, "Link")}
_READ: Final[_Answers] = {200: with_headers({}, "Link", "Session-Position"), 404: NO_SESSION}
_APPENDED: Final[_Answers] = {201: with_headers({}, "Session-Position"), 404: NO_SESSION}
_MESSAGES_SCHEMA: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MessagesBody"}}},
    }
}


class SessionRoutes:
    """The routes, answered by session-svc through `client`."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self.router = APIRouter(prefix="/api/sessions")
        add = self.router.add_api_route
        add("", self.list_sessions, response_model=list[SessionJson], responses=_LISTED)
        add("", self.create_session, methods=["POST"], status_code=201, response_model=SessionJson, responses=_CREATED)
        add("/{name}", self.get_session, response_model=SessionJson, responses=_AT_HEAD)
        add("/{name}", self.update_session, methods=["PATCH"], response_model=SessionJson, responses=_AT_HEAD)
        add("/{name}", self.delete_session, methods=["DELETE"], status_code=204, response_model=None)
        add("/{name}/messages", self.list_messages, response_model=list[MessageJson], responses=_READ)
        add(
            "/{name}/messages",
            self.append_messages,
            methods=["POST"],
            status_code=201,
            response_model=Appended,
            responses=_APPENDED,
            openapi_extra=_MESSAGES_SCHEMA,
        )
        add("/{name}/stop", self.stop_reply, methods=["POST"], response_model=Stopped)
        add("/{name}/clear", self.clear_session, methods=["POST"], response_model=SessionJson, responses=_AT_HEAD)
        add(
            "/{name}/truncate",
            self.truncate_session,
            methods=["POST"],
            response_model=Truncated,
            responses=_AT_HEAD,
        )

    async def list_sessions(
        self,
        limit: Limit = None,
        cursor: str = "",
        q: Annotated[str, Query(description="Part of a name or title, in any case")] = "",
        label: Annotated[list[str] | None, Query(description="key=value; all must match")] = None,
        owner: str = "",
    ) -> Response:
        """Sessions, the latest activity first."""
        labels = _labels(label or [])
        page = await self._client.list_sessions(
            page_size=limit or 0, page_token=cursor, query=q, labels=labels, owner=owner
        )
        headers = {}
        if page.next_page_token:
            query = _query(limit=limit, q=q, owner=owner, label=label, cursor=page.next_page_token)
            headers["link"] = f'<?{query}>; rel="next"'
        return _json(_array(map(session_to_json, page.sessions)), headers=headers)

    async def create_session(self, body: CreateBody) -> Response:
        """Creates a session; with `allowExisting`, creates or resumes it."""
        session = await self._client.create_session(
            body.name,
            title=body.title,
            ttl=milliseconds(body.ttl),
            labels=body.labels,
            allow_existing=body.allow_existing,
        )
        response = _session(session, 200 if body.allow_existing else 201)
        response.headers["location"] = f"sessions/{encode_segment(session.name)}"
        return response

    async def get_session(self, name: SessionName) -> Response:
        """One session."""
        return _session(await self._client.get_session(name))

    async def update_session(self, name: SessionName, body: UpdateBody) -> Response:
        """Changes title, ttl or labels."""
        return _session(
            await self._client.update_session(
                name,
                title=body.title,
                ttl=milliseconds(body.ttl),
                labels=body.labels,
                update_mask=sorted(body.model_fields_set),
            )
        )

    async def delete_session(self, name: SessionName, if_match: IfMatch = None) -> Response:
        """Deletes a session and all that is in it."""
        await self._client.delete_session(name, expected_position=_position(if_match))
        return Response(status_code=204)

    async def list_messages(self, name: SessionName, limit: Limit = None, before: str = "") -> Response:
        """The newest messages, or those before a place, oldest first. `Session-Position` is the head."""
        page = await self._client.list_messages(name, page_size=limit or 0, page_token=before, newest_first=True)
        headers = {_POSITION: page.position}
        if page.next_page_token:
            headers["link"] = f'<?{_query(limit=limit, before=page.next_page_token)}>; rel="prev"'
        return _json(_array(message_to_json(message) for message in reversed(page.messages)), headers=headers)

    async def append_messages(
        self, request: Request, name: SessionName, idempotency_key: IdempotencyKey = None, if_match: IfMatch = None
    ) -> Response:
        """Appends messages in one step; creates the session, unless `If-Match: *` says that it must exist."""
        appended = await self._client.append_messages(
            name,
            _messages(await request.body()),
            request_id=_unquoted(idempotency_key) or None,
            expected_position=_position(if_match),
            require_existing=if_match == "*",
        )
        receipts, position = _array(map(_receipt, appended.messages)), json.dumps(appended.position)
        body = f'{{"messages":{receipts},"position":{position},"session":{session_to_json(appended.session)}}}'
        return _json(body, 201, {_POSITION: appended.position})

    async def stop_reply(self, name: SessionName, body: StopBody | None = None) -> Response:
        """Stops the reply that is being written."""
        stopped = await self._client.stop_reply(name, reply_id=body.reply_id if body else "")
        kept = f'"message":{message_to_json(stopped.message)}' if stopped.HasField("message") else ""
        return _json(f"{{{kept}}}")

    async def clear_session(
        self,
        name: SessionName,
        body: EmptyBody | None = None,  # noqa: ARG002 - Checked: a member of it would be a misunderstanding.
        if_match: IfMatch = None,
    ) -> Response:
        """Removes all messages."""
        return _session(await self._client.clear_session(name, expected_position=_position(if_match)))

    async def truncate_session(self, name: SessionName, body: TruncateBody, if_match: IfMatch = None) -> Response:
        """Removes the last messages."""
        truncated = await self._client.truncate_session(
            name, keep=body.keep, remove_last=body.remove_last, expected_position=_position(if_match)
        )
        removed = _array(map(message_to_json, truncated.removed))
        text = f'{{"removed":{removed},"session":{session_to_json(truncated.session)}}}'
        return _json(text, headers={_POSITION: truncated.session.position})


def _json(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status, {"cache-control": "no-store", **(headers or {})}, "application/json")


def _session(session: Session, status: int = 200) -> Response:
    return _json(session_to_json(session), status, {_POSITION: session.position})


def _array(items: Iterable[str]) -> str:
    return "[" + ",".join(items) + "]"


def _receipt(message: Message) -> str:
    # Without what session-svc did not say, so that nobody takes an empty content for the message's.
    fields = {"id": message.id, "sequence": message.sequence, "timestamp": message.create_time.ToMilliseconds()}
    return json.dumps(fields)


def _query(**parameters: str | int | list[str] | None) -> str:
    return urlencode({name: value for name, value in parameters.items() if value}, doseq=True)


def _labels(pairs: list[str]) -> dict[str, str]:
    labels = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise Problem(400, "INVALID_FIELD", f"label: {pair!r} is not key=value")
        labels[key] = value
    return labels


def _position(if_match: str | None) -> str | None:
    """If-Match as expected_position: quoted like an entity tag, or bare."""
    return None if if_match is None or if_match.strip() == "*" else _unquoted(if_match)


def _unquoted(value: str | None) -> str:
    text = (value or "").strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _messages(body: bytes) -> list[Message]:
    try:
        fields = members(body.decode())
    except ValueError as error:
        raise Problem(400, "INVALID_FIELD", f"the body must be a JSON object with messages: {error}") from None
    unknown = fields.keys() - {"messages"}
    if unknown or not fields:
        raise Problem(400, "INVALID_FIELD", "the body must be a JSON object with one member: messages")
    try:
        return messages_from_json(fields["messages"])
    except JsonError as error:
        raise Problem(400, "INVALID_FIELD", str(error)) from None
