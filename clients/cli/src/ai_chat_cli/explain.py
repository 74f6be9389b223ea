"""Turns a failed call into one line that names the remedy, and an exit code."""

from ai_chat_client.errors import (
    AiChatError,
    ConflictError,
    InvalidRequestError,
    LimitedError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)

from ai_chat_cli.failure import CliError, ExitCode

_EXIT_CODES: tuple[tuple[type[AiChatError], ExitCode], ...] = (
    (InvalidRequestError, ExitCode.USAGE),
    (NotFoundError, ExitCode.NOT_FOUND),
    (ConflictError, ExitCode.CONFLICT),
    (LimitedError, ExitCode.UNAVAILABLE),
    (UnavailableError, ExitCode.UNAVAILABLE),
    (NotAllowedError, ExitCode.NOT_ALLOWED),
)

_REMEDIES = {
    "UNREACHABLE": "see that it runs there, or name another server with --server or AI_CHAT_SERVER",
    "TIMEOUT": "try again, or name another server with --server",
    "SESSION_NOT_FOUND": "`ai-chat list` shows what there is",
    "SESSION_EXISTS": "choose another name",
    "POSITION_CONFLICT": "someone else changed it meanwhile; look at it and try again",
    "UNUSABLE_DATA": "ask whoever runs the server",
    "TOKEN_MISSING": "`ai-chat login ADDRESS` asks for one and keeps it; --token-file and AI_CHAT_TOKEN give one",
    "TOKEN_INVALID": "`ai-chat login ADDRESS` takes a new one",
    "SCOPE_MISSING": "ask whoever runs the server for a token that has it",
    "SESSION_FORBIDDEN": "ask whoever runs the server for a token that allows it",
    "RATE_LIMITED": "try again later",
    "INTERNAL": "the server's log has the details",
}


def explain(error: AiChatError) -> CliError:
    """The failure for people and scripts."""
    exit_code = next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), ExitCode.OTHER)
    message = error.message.rstrip(".").removeprefix("messages[0].")
    remedy = _REMEDIES.get(error.reason)
    return CliError(f"{message}; {remedy}" if remedy and remedy not in message else message, exit_code)
