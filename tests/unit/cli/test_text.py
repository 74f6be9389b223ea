"""Other people's text on one's own terminal."""

import pytest
from ai_chat_cli.text import safe, safe_line, sendable
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


def test_bytes_that_were_no_text_are_refused() -> None:
    assert sendable("ünï", "the name") == "ünï"
    with pytest.raises(ValueError, match="the name is not UTF-8"):
        sendable("a\udcff", "the name")
