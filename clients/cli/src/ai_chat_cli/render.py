"""Sessions and messages for people. Every text of others goes through `safe` and is never taken for markup."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ai_chat_client.message_json import ROLE_WORDS, STATUS_WORDS, to_datetime
from aichat.session.v1 import session_pb2 as model
from google.protobuf import timestamp_pb2
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from ai_chat_cli.text import counted, safe, safe_line

_TABLE_CELLS = 60
"""On a narrower terminal nothing of the titles would be left beside the names that are made up."""
_ROLE_STYLES = {"user": "bold cyan", "assistant": "bold green", "system": "bold yellow", "tool": "bold magenta"}


def ago(time: timestamp_pb2.Timestamp, now: datetime) -> str:
    """How long before `now`, in the largest unit that fits: `3 min`, `2 h`, `5 d`."""
    seconds = max(0, int((now - to_datetime(time)).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return "now"


@dataclass(frozen=True, slots=True)
class SessionList:
    """Sessions as a table, one row each, the order kept; where that does not fit, a few lines each.

    `numbered`: with a number, from 1, in front.
    """

    sessions: Sequence[model.Session]
    now: datetime
    numbered: bool = False

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """See rich's protocol."""
        if options.max_width >= _TABLE_CELLS:
            yield _table(self.sessions, self.now, numbered=self.numbered)
            return
        for number, session in enumerate(self.sessions, 1):
            front = f"{number}  " if self.numbered else ""
            yield Text.assemble((front, "dim"), (safe_line(session.name), "bold"), overflow="fold")
            facts = [counted(session.message_count), ago(session.last_active_time, self.now), _subject(session)]
            yield Text(f"  {' · '.join(filter(None, facts))}", "dim", no_wrap=True, overflow="ellipsis")


def _subject(session: model.Session) -> str:
    return safe_line(session.title or session.preview)


def _table(sessions: Iterable[model.Session], now: datetime, *, numbered: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    if numbered:
        table.add_column("", justify="right", style="dim")
    table.add_column("NAME", overflow="fold", style="bold")
    table.add_column("MESSAGES", justify="right")
    table.add_column("ACTIVE", justify="right")
    table.add_column("TITLE", no_wrap=True, overflow="ellipsis", ratio=1)
    for number, session in enumerate(sessions, 1):
        table.add_row(
            *([str(number)] if numbered else []),
            Text(safe_line(session.name)),
            str(session.message_count),
            ago(session.last_active_time, now),
            Text(_subject(session)),
        )
    return table


def session_row(session: model.Session) -> str:
    """A session as tab-separated name, number of messages, last activity (ISO 8601, UTC) and title, for scripts."""
    active = to_datetime(session.last_active_time).isoformat(timespec="seconds")
    return "\t".join([safe_line(session.name), str(session.message_count), active, safe_line(session.title)])


def session_heading(session: model.Session) -> Text:
    """Name, title and size in one line."""
    parts = [Text(safe_line(session.name), "bold"), Text(counted(session.message_count), "dim")]
    if session.title:
        parts.insert(1, Text(safe_line(session.title)))
    return Text(" · ", "dim").join(parts)


def message_text(message: model.Message) -> Text:
    """A message: who and when, then what, then how it ended if it did not end well."""
    role = ROLE_WORDS.get(message.role, "")
    who = safe_line(message.author) or safe_line(message.model) or role or "unreadable"
    text = author_line(who, role, message.create_time if message.HasField("create_time") else None)
    text.append(safe(message.content))
    ending = status_line(message)
    if ending is not None:
        text.append("\n")
        text.append_text(ending)
    return text


def author_line(who: str, role: str, time: timestamp_pb2.Timestamp | None = None) -> Text:
    """The line above what someone said."""
    text = Text()
    text.append(who, _ROLE_STYLES.get(role, "bold"))
    if role and role != who:
        text.append(f" ({role})" if role != "user" else "", "dim")
    if time is not None:
        text.append(f"  {clock(time)}", "dim")
    text.append("\n")
    return text


def status_line(message: model.Message) -> Text | None:
    """`[interrupted: why]` when a message did not end well; None when it did."""
    how = ending(message)
    return Text(f"[{how}]", "bold red") if how else None


def ending(message: model.Message) -> str:
    """`interrupted: why` when a message did not end well; "" when it did."""
    if message.status in {model.MESSAGE_STATUS_COMPLETE, model.MESSAGE_STATUS_UNSPECIFIED}:
        return ""
    reason = safe_line(message.status_reason)
    word = STATUS_WORDS.get(message.status, "incomplete")
    return f"{word}: {reason}" if reason else word


def clock(time: timestamp_pb2.Timestamp) -> str:
    """The moment in local time: only the time of day when it is today's."""
    moment = to_datetime(time).astimezone()
    today = datetime.now().astimezone().date()
    return moment.strftime("%H:%M") if moment.date() == today else moment.strftime("%Y-%m-%d %H:%M")


def transcript(messages: Sequence[model.Message]) -> RenderableType:
    """Messages below each other."""
    return Group(*(Text.assemble(message_text(message), "\n") for message in messages))
