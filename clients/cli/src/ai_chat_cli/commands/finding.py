"""Sessions that must exist."""

from itertools import islice

from ai_chat_client import Client
from ai_chat_client.errors import AiChatError, NotFoundError
from aichat.session.v1 import session_pb2 as model

from ai_chat_cli.failure import CliError, ExitCode
from ai_chat_cli.names import LOOKED_AT, close_matches, suggestion


def found(client: Client, name: str) -> model.Session:
    """The session. CliError (NOT_FOUND) that names close matches."""
    try:
        return client.get_session(name)
    except NotFoundError:
        raise missing(client, name) from None


def missing(client: Client, name: str) -> CliError:
    """The failure to find `name`, with what it may have been meant for."""
    try:
        matches = close_matches(
            name, (session.name for session in islice(client.sessions(page_size=LOOKED_AT), LOOKED_AT))
        )
    except AiChatError:
        matches = []
    hint = suggestion(matches) or "`ai-chat list` shows what there is"
    return CliError(f"there is no session {name!r}; {hint}", ExitCode.NOT_FOUND)
