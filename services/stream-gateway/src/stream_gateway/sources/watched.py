"""What WatchSession and WatchSessions say, as the JSON that is published where there is Redis."""

import json
from collections.abc import Iterator

from ai_chat_client import message_to_json, session_to_json
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api

from stream_gateway.events import compose, now_ms
from stream_gateway.history import end_of_reply, piece_of, told
from stream_gateway.position import Position
from stream_gateway.reply import quote


def session_events(response: api.WatchSessionResponse) -> Iterator[bytes]:
    """What happened in a session."""
    position = Position.parse(response.position)
    match response.WhichOneof("event"):
        case "messages":
            for message in response.messages.messages:
                yield _message(message, position)
        case "reply_snapshot" | "reply_started" | "reply_chunk" | "reply_finished":
            yield from _reply_events(response, position)
        case "reset":
            yield compose("reset", "{}", now_ms(), position)
        case "cleared":
            yield compose("clear", "{}", now_ms(), position)
        case "truncated":
            yield compose("truncate", json.dumps({"keep": response.truncated.keep}), now_ms(), position)
        case "updated":
            yield compose("updated", session_to_json(response.updated.session), now_ms(), position)
        case "deleted":
            yield compose("deleted", "{}", now_ms(), position)
        case _:
            return


def list_event(response: api.WatchSessionsResponse) -> bytes | None:
    """What happened to the list; None: nothing."""
    match response.WhichOneof("event"):
        case "created":
            return compose("created", session_to_json(response.created.session), now_ms())
        case "updated":
            return compose("updated", session_to_json(response.updated.session), now_ms())
        case "deleted":
            return compose("deleted", json.dumps({"name": response.deleted.name}), now_ms())
        case _:
            return None


def _message(message: model.Message, position: Position | None) -> bytes:
    type_ = "user" if message.role == model.ROLE_USER else "message"
    return compose(type_, message_to_json(message), _time(message), position.at(message.sequence) if position else None)


def _reply_events(response: api.WatchSessionResponse, position: Position | None) -> Iterator[bytes]:
    match response.WhichOneof("event"):
        case "reply_snapshot":
            yield compose("snapshot", told(response.reply_snapshot).to_json(), now_ms(), position)
        case "reply_started":
            reply = response.reply_started.reply
            about = f'{{"replyId":{quote(reply.id)},"author":{quote(reply.author)},"model":{quote(reply.model)}}}'
            yield compose("start", about, now_ms(), position)
        case "reply_chunk":
            yield from _chunks(response.reply_chunk, position)
        case "reply_finished" if response.reply_finished.HasField("message"):
            message = response.reply_finished.message
            payload = end_of_reply(response.reply_finished.id, message_to_json(message))
            yield compose("complete", payload, _time(message), position.at(message.sequence) if position else None)
        case _:
            yield compose("complete", f'{{"replyId":{quote(response.reply_finished.id)}}}', now_ms(), position)


def _chunks(extended: api.WatchReplyChunk, position: Position | None) -> Iterator[bytes]:
    """One event for each chunk. Where texts were joined there are fewer than numbers: the last has those left over."""
    first, left = extended.from_chunk, len(extended.chunks)
    for chunk in extended.chunks:
        left -= 1
        after = first + 1 if left else extended.to_chunk
        place = f'"replyId":{quote(extended.id)},"from":{first},"to":{after}}}'
        piece = piece_of(chunk)
        if isinstance(piece, str):
            yield compose("chunk", f'{{"content":{quote(piece)},{place}', now_ms(), position)
        else:
            yield compose("part", f"{piece.json[:-1]},{place}", now_ms(), position)
        first = after


def _time(message: model.Message) -> int:
    return message.create_time.ToMilliseconds() or now_ms()
