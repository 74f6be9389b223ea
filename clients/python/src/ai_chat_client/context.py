"""What travels along with every call of the current context."""

from contextvars import ContextVar

request_id: ContextVar[str | None] = ContextVar("ai_chat_request_id", default=None)
"""Sent as `x-request-id`, so that a request can be followed from edge to store. None: each call gets its own."""
