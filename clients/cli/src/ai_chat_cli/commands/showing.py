"""`ai-chat show`."""

from ai_chat_client import Client, message_to_json
from aichat.session.v1 import session_pb2 as model
from rich.text import Text

from ai_chat_cli import output
from ai_chat_cli.commands.finding import found
from ai_chat_cli.invocation import Invocation
from ai_chat_cli.render import message_text, session_heading


def show(invocation: Invocation, name: str | None, last: int | None) -> None:
    """Prints a session's messages, oldest first; only the last so many, when `last` is given."""
    session_name = invocation.session(name)
    with invocation.client() as client:
        session = found(client, session_name)
        if not invocation.json:
            output.show(Text.assemble(session_heading(session), "\n"))
        if last is None:
            for message in client.messages(session_name, page_size=1000):
                _print(invocation, message)
        else:
            for message in _newest(client, session_name, last):
                _print(invocation, message)


def _newest(client: Client, name: str, count: int) -> list[model.Message]:
    newest: list[model.Message] = []
    for message in client.messages(name, newest_first=True, page_size=min(count, 1000)):
        newest.append(message)
        if len(newest) == count:
            break
    return newest[::-1]


def _print(invocation: Invocation, message: model.Message) -> None:
    if invocation.json:
        output.data(message_to_json(message))
    else:
        output.show(Text.assemble(message_text(message), "\n"))
