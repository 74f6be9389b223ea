"""`ai-chat send`."""

import sys

from ai_chat_client import Message, message_to_json
from ai_chat_client.errors import NotFoundError
from ai_chat_client.message_json import ROLE_WORDS

from ai_chat_cli import output
from ai_chat_cli.commands.finding import missing
from ai_chat_cli.failure import CliError, ExitCode
from ai_chat_cli.invocation import Invocation, checked

_CONTENT_BYTES = 1024 * 1024
_ROLES = {word: role for role, word in ROLE_WORDS.items()}


def send(invocation: Invocation, name: str, text: str, role: str, *, existing_only: bool) -> None:
    """Appends one message; creates the session unless `existing_only`."""
    if role not in _ROLES:
        raise CliError(f"--role {role!r} is none; write {', '.join(_ROLES)}", ExitCode.USAGE)
    content = content_of(text)
    session = invocation.session(name)
    settings = invocation.settings
    message = Message(role=_ROLES[role], content=content, author=settings.author)
    with invocation.client() as client:
        if settings.ttl is not None and not existing_only:
            client.create_session(session, ttl=settings.ttl, allow_existing=True)
        try:
            answer = client.append_messages(session, [message], require_existing=existing_only)
        except NotFoundError:
            raise missing(client, session) from None
    message.MergeFrom(answer.messages[0])
    if invocation.json:
        output.data(message_to_json(message))
    elif output.is_terminal():
        output.note(f"{session}: message {message.sequence}")


def content_of(text: str) -> str:
    """The message that TEXT names: itself, or with - what stdin holds. CliError (USAGE) when it is none."""
    content = _read_stdin() if text == "-" else checked(text, "the message")
    if not content.strip():
        raise CliError("the message is empty; give TEXT, or - and something on stdin", ExitCode.USAGE)
    return content


def _read_stdin() -> str:
    content = sys.stdin.buffer.read(_CONTENT_BYTES + 2).removesuffix(b"\n")
    if len(content) > _CONTENT_BYTES:
        raise CliError(f"stdin holds more than the {_CONTENT_BYTES} bytes that a message may have", ExitCode.USAGE)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise CliError("stdin is not UTF-8; convert it first, for example with iconv", ExitCode.USAGE) from None
