"""Session names for the shell: fast or not at all, and never an error message in the middle of a command line."""

import contextlib
from collections.abc import Mapping
from typing import Any

import ai_chat_client

from ai_chat_cli.settings import FLAG_NAMES, Flags, environment_settings

SECONDS = 1.0
"""Longer than this nobody waits for a completion."""


def session_names(parameters: Mapping[str, Any], incomplete: str) -> list[str]:
    """Names that begin with `incomplete`, the latest activity first; none when the server does not answer at once.

    `parameters`: the options before the command, as far as they are typed.
    """
    flags = Flags(**{name: value for name, value in parameters.items() if name in FLAG_NAMES and value is not None})
    with contextlib.suppress(Exception):
        settings = environment_settings(flags)
        policy = ai_chat_client.RetryPolicy(timeout=SECONDS, attempts=1)
        with ai_chat_client.Client(
            settings.server,
            token=settings.token,
            tls_ca=settings.tls_ca,
            insecure=settings.insecure,
            policy=policy,
        ) as client:
            page = client.list_sessions(query=incomplete, page_size=100)
            return [session.name for session in page.sessions if session.name.startswith(incomplete)]
    return []
