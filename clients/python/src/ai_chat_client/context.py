"""What travels along with the calls of the current context."""

from contextvars import ContextVar

request_id: ContextVar[str | None] = ContextVar("ai_chat_request_id", default=None)
"""Sent as `x-request-id`, so that a request can be followed from edge to store. None: each call gets its own."""

token: ContextVar[str | None] = ContextVar("ai_chat_token", default=None)
"""Sent as the bearer token by a client that was made without one: for a program that acts for many, each with its own.

A client that has a token always sends that one, so nobody is ever served with the rights of another.
"""
