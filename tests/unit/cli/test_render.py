"""Sessions and messages for people."""

from datetime import UTC, datetime, timedelta

import pytest
from ai_chat_cli.render import SessionList, ago, message_text, session_heading, session_row
from ai_chat_client import (
    MESSAGE_STATUS_FAILED,
    MESSAGE_STATUS_INTERRUPTED,
    MESSAGE_STATUS_UNREADABLE,
    ROLE_ASSISTANT,
    ROLE_USER,
    Message,
    Session,
)
from ai_chat_client.message_json import from_ms

from .shown import plain

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


def before(**span: float) -> int:
    return int((NOW - timedelta(**span)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("ms", "text"),
    [(before(seconds=59), "now"), (before(minutes=5), "5 min"), (before(hours=3), "3 h"), (before(days=40), "40 d"),
     (before(seconds=-30), "now")],
)  # fmt: skip
def test_how_long_ago_is_told_in_the_largest_unit(ms: int, text: str) -> None:
    assert ago(from_ms(ms), NOW) == text


def test_a_message_says_who_and_what() -> None:
    assert plain(message_text(Message(role=ROLE_USER, author="anna", content="hello\nthere"))) == "anna\nhello\nthere"
    answer = Message(role=ROLE_ASSISTANT, author="bot", model="m", content="hi")
    assert plain(message_text(answer)) == "bot (assistant)\nhi"
    assert plain(message_text(Message(role=ROLE_ASSISTANT, content="hi"))) == "assistant\nhi"


@pytest.mark.parametrize(
    ("message", "ending"),
    [
        (Message(role=ROLE_ASSISTANT, status=MESSAGE_STATUS_INTERRUPTED), "[interrupted]"),
        (Message(role=ROLE_ASSISTANT, status=MESSAGE_STATUS_FAILED, status_reason="no\nkey"), "[failed: no key]"),
        (Message(content="]", status=MESSAGE_STATUS_UNREADABLE), "[unreadable]"),
    ],
)
def test_a_message_that_did_not_end_well_says_so(message: Message, ending: str) -> None:
    assert plain(message_text(message)).endswith(ending)


def test_nothing_of_others_is_taken_for_markup_or_obeyed() -> None:
    text = plain(message_text(Message(role=ROLE_USER, author="\x1b[1mx[/]", content="[red]a[/red] :smile: \x1b[31mb")))
    assert text == "␛[1mx[/]\n[red]a[/red] :smile: ␛[31mb"


def test_a_table_of_sessions_never_breaks_a_row() -> None:
    sessions = [
        Session(
            name="team",
            title="a\ntitle \x1b[5m" + "x" * 200,
            message_count=12,
            last_active_time=from_ms(before(hours=2)),
        ),
        Session(name="sessiön mit [b]Leerzeichen[/b]", preview="p", last_active_time=from_ms(before(days=1))),
    ]
    lines = plain(SessionList(sessions, NOW), width=80).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("team")
    assert "2 h  a title ␛[5mxxx" in lines[1]
    assert "sessiön mit [b]Leerzeichen[/b]" in lines[2]
    assert plain(SessionList(sessions, NOW, numbered=True)).splitlines()[2].startswith("2  sessiön")


def test_on_a_narrow_terminal_each_session_has_its_lines_and_no_name_is_cut() -> None:
    sessions = [
        Session(
            name="session-1734782567890-a3f8k2", title="\x1b[5m" + "T" * 40, last_active_time=from_ms(before(days=1))
        ),
        Session(name="n" * 40, message_count=1, last_active_time=from_ms(before(hours=2))),
    ]
    assert plain(SessionList(sessions, NOW), width=32).splitlines() == [
        "session-1734782567890-a3f8k2",
        "  0 messages · 1 d · ␛[5mTTTTTT…",
        "n" * 32,
        "n" * 8,
        "  1 message · 2 h",
    ]
    assert plain(SessionList(sessions, NOW, numbered=True), width=32).startswith("1  session-1734782567890-a3f8k2\n")


def test_a_row_for_scripts_has_four_columns_whatever_the_title() -> None:
    session = Session(name="team", title="a\ttab\nand line", message_count=3, last_active_time=from_ms(0))
    assert session_row(session) == "team\t3\t1970-01-01T00:00:00+00:00\ta tab and line"


def test_a_heading_counts_messages() -> None:
    assert plain(session_heading(Session(name="s", title="T", message_count=1))) == "s · T · 1 message"
    assert plain(session_heading(Session(name="s"))) == "s · 0 messages"
