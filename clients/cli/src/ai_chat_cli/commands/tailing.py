"""`ai-chat tail`."""

import sys
from contextlib import closing

from ai_chat_client import message_to_json
from aichat.session.v1 import session_service_pb2 as api

from ai_chat_cli import output
from ai_chat_cli.display import Written
from ai_chat_cli.invocation import Invocation
from ai_chat_cli.live_view import LiveView


def tail(invocation: Invocation, name: str | None, last: int, *, follow: bool) -> None:
    """Prints the last messages, then, with `follow`, what is written until the session is deleted."""
    session = invocation.session(name)
    view = LiveView(Written())
    with (
        invocation.client() as client,
        closing(client.watch_session(session, tail=last, on_loss=view.lost)) as events,
    ):
        for event in events:
            if invocation.json:
                _print_messages(event)
            else:
                view.see(event)
            # Whoever reads a pipe wants each message when it comes.
            sys.stdout.flush()
            if event.HasField("caught_up") and not follow:
                return


def _print_messages(event: api.WatchSessionResponse) -> None:
    if event.HasField("messages"):
        for message in event.messages.messages:
            output.data(message_to_json(message))
    elif event.HasField("reply_finished") and event.reply_finished.HasField("message"):
        output.data(message_to_json(event.reply_finished.message))
