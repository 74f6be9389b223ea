"""`ai-chat title` and `ai-chat label`."""

import json
from collections.abc import Sequence

from ai_chat_client import session_to_json
from ai_chat_client.errors import NotFoundError

from ai_chat_cli import output
from ai_chat_cli.commands.finding import found, missing
from ai_chat_cli.failure import CliError, ExitCode
from ai_chat_cli.invocation import Invocation, checked
from ai_chat_cli.text import safe_line


def title(invocation: Invocation, name: str, text: str | None) -> None:
    """Prints the title, or sets it."""
    session_name = invocation.session(name)
    with invocation.client() as client:
        if text is None:
            session = found(client, session_name)
        else:
            try:
                session = client.update_session(session_name, title=checked(text, "the title"))
            except NotFoundError:
                raise missing(client, session_name) from None
    output.data(session_to_json(session) if invocation.json else safe_line(session.title))


def label(invocation: Invocation, name: str, changes: Sequence[str]) -> None:
    """Prints the labels, after changing them: KEY=VALUE sets one, KEY- removes one."""
    session_name = invocation.session(name)
    with invocation.client() as client:
        session = found(client, session_name)
        if changes:
            labels = dict(session.labels)
            for change in changes:
                _apply(labels, checked(change, "the label"))
            session = client.update_session(session_name, labels=labels)
    if invocation.json:
        output.data(session_to_json(session))
        return
    for key, value in sorted(session.labels.items()):
        output.data(f"{_shown(key)}={_shown(value)}")


def _shown(text: str) -> str:
    return text if text == safe_line(text) else json.dumps(text)


def _apply(labels: dict[str, str], change: str) -> None:
    key, separator, value = change.partition("=")
    if separator and key:
        labels[key] = value
    elif not separator and change.endswith("-") and len(change) > 1:
        labels.pop(change[:-1], None)
    else:
        raise CliError(f"{change!r} is no change of a label; write KEY=VALUE, or KEY- to remove one", ExitCode.USAGE)
