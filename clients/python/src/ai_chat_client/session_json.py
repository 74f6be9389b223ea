"""Sessions as JSON: the form they have in events, over HTTP, in `--json` and in exports.

`{name, title, titleSource, owner, lastMessage, messageCount, createdAt, expiresAt, ttl, labels, lastRole, preview,
awaitingReply, reply}`: times and spans in ms, what is unset absent; `reply` is `{id, author, model, startedAt}`.
"""

import json
from collections.abc import Mapping

from aichat.session.v1 import session_pb2 as model
from google.protobuf.message import Message as ProtoMessage

from ai_chat_client.message_json import ROLE_WORDS, join, quote, to_ms

_TITLE_SOURCE_WORDS = {model.TITLE_SOURCE_USER: "user", model.TITLE_SOURCE_AUTO: "auto"}


def session_to_json(session: model.Session) -> str:
    """Returns the session as one line of JSON."""
    fields: list[tuple[str, str | None]] = [
        ("name", quote(session.name)),
        ("title", _text(session.title)),
        ("titleSource", _text(_TITLE_SOURCE_WORDS.get(session.title_source, ""))),
        ("owner", _text(session.owner)),
        ("lastMessage", _time(session, "last_active_time")),
        ("messageCount", str(session.message_count)),
        ("createdAt", _time(session, "create_time")),
        ("expiresAt", _time(session, "expire_time")),
        ("ttl", str(session.ttl.ToMilliseconds()) if session.HasField("ttl") else None),
        ("labels", _labels(session.labels)),
        ("lastRole", _text(ROLE_WORDS.get(session.last_role, ""))),
        ("preview", _text(session.preview)),
        ("awaitingReply", "true" if session.awaiting_reply else None),
        ("reply", _reply(session.reply) if session.HasField("reply") else None),
    ]
    return _set_only(fields)


def _reply(reply: model.Reply) -> str:
    fields: list[tuple[str, str | None]] = [
        ("id", quote(reply.id)),
        ("author", _text(reply.author)),
        ("model", _text(reply.model)),
        ("startedAt", _time(reply, "start_time")),
    ]
    return _set_only(fields)


def _text(text: str) -> str | None:
    return quote(text) if text else None


def _time(owner: ProtoMessage, field: str) -> str | None:
    return str(to_ms(getattr(owner, field))) if owner.HasField(field) else None


def _labels(labels: Mapping[str, str]) -> str | None:
    return json.dumps(dict(sorted(labels.items())), ensure_ascii=False, separators=(",", ":")) if labels else None


def _set_only(fields: list[tuple[str, str | None]]) -> str:
    return join((name, value) for name, value in fields if value is not None)
