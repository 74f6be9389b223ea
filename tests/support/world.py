"""All services that a page needs, and the means to make things happen in them."""

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import redis
from ai_chat_client import MESSAGE_STATUS_COMPLETE, ROLE_ASSISTANT, ROLE_USER, Client, Message
from support.processes import Service
from support.redis_server import RedisServer

if TYPE_CHECKING:
    from aichat.session.v1.session_pb2 import MessageStatus, Role


@dataclass(frozen=True)
class World:
    """Running services. `client` talks to session-svc, `store` to Redis, as chat.ai's programs do."""

    server: RedisServer
    svc: Service
    web: Service
    client: Client
    store: redis.Redis

    @property
    def page(self) -> str:
        """The page's address."""
        return f"http://{self.web.address}/"

    def link(self, name: str) -> str:
        """A session's path below the page's address."""
        return f"s/{quote(name, safe='')}"

    def say(
        self,
        name: str,
        *contents: str,
        author: str = "anna",
        role: "Role.ValueType" = ROLE_USER,
        model: str = "",
        status: "MessageStatus.ValueType" = MESSAGE_STATUS_COMPLETE,
        status_reason: str = "",
    ) -> str:
        """Appends one message for each content, and returns the head."""
        messages = [
            Message(role=role, content=content, author=author, model=model, status=status, status_reason=status_reason)
            for content in contents
        ]
        return self.client.append_messages(name, messages).position

    def answer(
        self,
        name: str,
        *contents: str,
        model: str = "",
        status: "MessageStatus.ValueType" = MESSAGE_STATUS_COMPLETE,
        status_reason: str = "",
    ) -> str:
        """Appends finished replies, and returns the head."""
        return self.say(
            name,
            *contents,
            author="assistant",
            role=ROLE_ASSISTANT,
            model=model,
            status=status,
            status_reason=status_reason,
        )

    def publish(self, name: str, kind: str, payload: dict[str, Any], *, ours: bool = True) -> None:
        """Publishes an event that leaves the head where it is; not `ours`: as chat.ai does, without position."""
        event: dict[str, Any] = {"type": kind, "payload": payload, "timestamp": time.time_ns() // 1_000_000}
        if ours:
            event["position"] = self.client.get_session(name).position
        self.store.publish(f"ai-chat:stream:{name}", json.dumps(event))
