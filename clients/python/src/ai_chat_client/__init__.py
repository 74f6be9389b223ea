"""The Python client of the ai-chat session service.

`AsyncClient` for asyncio, `Client` for everything else; both call the gRPC API with deadlines, repeat what is safe to
repeat, and keep watches going across lost connections. Failures are subclasses of `AiChatError`
(`ai_chat_client.errors`).
"""

from aichat.session.v1.session_pb2 import (
    MESSAGE_STATUS_COMPLETE,
    MESSAGE_STATUS_FAILED,
    MESSAGE_STATUS_INTERRUPTED,
    MESSAGE_STATUS_UNREADABLE,
    ROLE_ASSISTANT,
    ROLE_SYSTEM,
    ROLE_TOOL,
    ROLE_USER,
    TITLE_SOURCE_AUTO,
    TITLE_SOURCE_USER,
    Message,
    Session,
)

from ai_chat_client.async_client import AsyncClient
from ai_chat_client.connection import ConfigurationError
from ai_chat_client.context import request_id
from ai_chat_client.endpoint import DEFAULT_SERVER, Endpoint
from ai_chat_client.errors import AiChatError
from ai_chat_client.message_json import JsonError, message_from_json, message_to_json, messages_from_json
from ai_chat_client.retry import Backoff, RetryPolicy
from ai_chat_client.session_json import session_to_json
from ai_chat_client.sync_client import Client

__all__ = [
    "DEFAULT_SERVER",
    "MESSAGE_STATUS_COMPLETE",
    "MESSAGE_STATUS_FAILED",
    "MESSAGE_STATUS_INTERRUPTED",
    "MESSAGE_STATUS_UNREADABLE",
    "ROLE_ASSISTANT",
    "ROLE_SYSTEM",
    "ROLE_TOOL",
    "ROLE_USER",
    "TITLE_SOURCE_AUTO",
    "TITLE_SOURCE_USER",
    "AiChatError",
    "AsyncClient",
    "Backoff",
    "Client",
    "ConfigurationError",
    "Endpoint",
    "JsonError",
    "Message",
    "RetryPolicy",
    "Session",
    "message_from_json",
    "message_to_json",
    "messages_from_json",
    "request_id",
    "session_to_json",
]
