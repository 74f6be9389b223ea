"""The Python client of the ai-chat session service.

`AsyncClient` for asyncio, `Client` for everything else; both call the gRPC API with deadlines, repeat what is safe to
repeat, and keep watches going across lost connections. Failures are subclasses of `AiChatError`
(`ai_chat_client.errors`). Importing the package costs nothing: gRPC is loaded when a name of it is first used.
"""

import importlib
from typing import TYPE_CHECKING

from ai_chat_client.context import request_id
from ai_chat_client.endpoint import DEFAULT_SERVER, Endpoint

if TYPE_CHECKING:
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

    from ai_chat_client.asking_again import AskAgain
    from ai_chat_client.async_client import AsyncClient
    from ai_chat_client.connection import ConfigurationError
    from ai_chat_client.errors import AiChatError
    from ai_chat_client.message_json import JsonError, message_from_json, message_to_json, messages_from_json
    from ai_chat_client.reply import ReplyWriter
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
    "AskAgain",
    "AsyncClient",
    "Backoff",
    "Client",
    "ConfigurationError",
    "Endpoint",
    "JsonError",
    "Message",
    "ReplyWriter",
    "RetryPolicy",
    "Session",
    "message_from_json",
    "message_to_json",
    "messages_from_json",
    "request_id",
    "session_to_json",
]

_HOMES = {
    "AiChatError": "ai_chat_client.errors",
    "AskAgain": "ai_chat_client.asking_again",
    "AsyncClient": "ai_chat_client.async_client",
    "Backoff": "ai_chat_client.retry",
    "Client": "ai_chat_client.sync_client",
    "ConfigurationError": "ai_chat_client.connection",
    "JsonError": "ai_chat_client.message_json",
    "ReplyWriter": "ai_chat_client.reply",
    "RetryPolicy": "ai_chat_client.retry",
    "message_from_json": "ai_chat_client.message_json",
    "message_to_json": "ai_chat_client.message_json",
    "messages_from_json": "ai_chat_client.message_json",
    "session_to_json": "ai_chat_client.session_json",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(_HOMES.get(name, "aichat.session.v1.session_pb2"))
    globals()[name] = value = getattr(home, name)
    return value
