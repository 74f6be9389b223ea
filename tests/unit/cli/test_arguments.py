"""The command line before it is parsed."""

import pytest
from ai_chat_cli.arguments import normalised


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        ("list --json", "--json list"),
        ("list --server h:1 deploy", "--server h:1 list deploy"),
        ("show x --server=h:1", "--server=h:1 show x"),
        ("show -s x", "-s x show"),
        ("send x -- --json --server", "send x -- --json --server"),
        ("-r", "-r ''"),
        ("-r deploy", "-r deploy"),
        ("-r --json", "--json -r ''"),
        ("--resume", "--resume ''"),
        ("send x -", "send x -"),
        ("list --server", "list --server"),
        ("", ""),
    ],
)
def test_options_of_every_command_may_stand_anywhere(given: str, parsed: str) -> None:
    assert normalised(given.split()) == [argument.replace("''", "") for argument in parsed.split()]
