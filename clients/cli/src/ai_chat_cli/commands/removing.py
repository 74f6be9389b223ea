"""`ai-chat clear` and `ai-chat delete`."""

import typer
from ai_chat_client import session_to_json
from ai_chat_client.errors import NotFoundError
from aichat.session.v1 import session_pb2 as model

from ai_chat_cli import output
from ai_chat_cli.commands.finding import found, missing
from ai_chat_cli.failure import CliError, ExitCode
from ai_chat_cli.invocation import Invocation
from ai_chat_cli.text import counted, safe_line


def clear(invocation: Invocation, name: str, *, yes: bool) -> None:
    """Removes all messages; what was asked about is what is removed."""
    session_name = invocation.session(name)
    _check_can_ask(yes)
    with invocation.client() as client:
        try:
            position = None if yes else _agreed(found(client, session_name), "Remove", "of")
            session = client.clear_session(session_name, expected_position=position)
        except NotFoundError:
            raise missing(client, session_name) from None
    if invocation.json:
        output.data(session_to_json(session))


def delete(invocation: Invocation, name: str, *, yes: bool) -> None:
    """Deletes the session; what was asked about is what is deleted."""
    session_name = invocation.session(name)
    _check_can_ask(yes)
    with invocation.client() as client:
        try:
            position = None if yes else _agreed(found(client, session_name), "Delete the session with", "in")
            client.delete_session(session_name, expected_position=position)
        except NotFoundError:
            raise missing(client, session_name) from None


def _check_can_ask(yes: bool) -> None:
    if not yes and not output.can_ask():
        raise CliError("there is no terminal to ask on; say --yes", ExitCode.USAGE)


def _agreed(session: model.Session, verb: str, preposition: str) -> str:
    """Asks; returns the position that was agreed to. typer.Abort when it was not."""
    question = f"{verb} {counted(session.message_count)} {preposition} {safe_line(session.name)}?"
    if not typer.confirm(question, err=True):
        raise CliError("left as it is", ExitCode.OTHER)
    return session.position
