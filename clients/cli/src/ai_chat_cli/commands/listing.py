"""`ai-chat list`."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice

from ai_chat_client import session_to_json
from aichat.session.v1 import session_pb2 as model

from ai_chat_cli import output
from ai_chat_cli.failure import CliError, ExitCode
from ai_chat_cli.invocation import Invocation, checked
from ai_chat_cli.render import SessionList, session_row


def list_sessions(invocation: Invocation, text: str, labels: Sequence[str], owner: str, limit: int | None) -> None:
    """Prints sessions, the latest activity first; all of them when `limit` is None."""
    wanted = dict(_label(entry) for entry in labels)
    page_size = min(limit or 1000, 1000)
    with invocation.client() as client:
        found = client.sessions(
            query=checked(text, "the text"), labels=wanted, owner=checked(owner, "the owner"), page_size=page_size
        )
        sessions = islice(found, limit)
        if invocation.json:
            _print_lines(session_to_json(session) for session in sessions)
        elif output.is_terminal():
            _print_table(list(sessions), limit)
        else:
            _print_lines(session_row(session) for session in sessions)


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        output.data(line)


def _print_table(sessions: list[model.Session], limit: int | None) -> None:
    if not sessions:
        output.note("no sessions; `ai-chat` starts one")
        return
    output.show(SessionList(sessions, datetime.now(UTC)))
    if len(sessions) == limit:
        output.note(f"the latest {limit}; --all shows all, TEXT narrows down")


def _label(text: str) -> tuple[str, str]:
    key, separator, value = checked(text, "the label").partition("=")
    if not key or not separator:
        raise CliError(f"--label {text!r} is no label; write KEY=VALUE", ExitCode.USAGE)
    return key, value
