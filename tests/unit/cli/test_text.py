"""Other people's text on one's own terminal."""

import json
import unicodedata

import pytest
from ai_chat_cli.text import counted, escaped, safe, safe_line, sendable
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "␛[2Jgone"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("\x9b31m", "\\u009b31m"),
        ("a\x7fb\x00", "a␡b␀"),
        ("evil\u202etxt", "evil\\u202etxt"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("tab\tand ünï 🎉 [bold]x[/]", "tab\tand ünï 🎉 [bold]x[/]"),
    ],
)
def test_what_a_terminal_would_obey_is_made_visible(text: str, shown: str) -> None:
    assert safe(text) == shown


@settings(deadline=None)
@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    assert all(character in "\n\t" or character.isprintable() or ord(character) > 0x9F for character in safe(text))
    assert "\x1b" not in safe(text)
    assert "\n" not in safe_line(text)


@settings(deadline=None)
@given(st.text())
def test_json_on_a_terminal_has_the_same_values_and_nothing_that_it_obeys(text: str) -> None:
    shown = escaped(json.dumps(text, ensure_ascii=False))
    assert json.loads(shown) == text
    assert not any(unicodedata.category(character) == "Cc" for character in shown)


def test_one_message_is_no_plural() -> None:
    assert [counted(number) for number in (0, 1, 2)] == ["0 messages", "1 message", "2 messages"]


def test_bytes_that_were_no_text_are_refused() -> None:
    assert sendable("ünï", "the name") == "ünï"
    with pytest.raises(ValueError, match="the name is not UTF-8"):
        sendable("a\udcff", "the name")
