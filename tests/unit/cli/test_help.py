"""What `--help` teaches."""

import subprocess
import sys

import pytest
from ai_chat_cli.__main__ import run

COMMANDS = [
    "list",
    "show",
    "tail",
    "send",
    "ask",
    "title",
    "label",
    "clear",
    "delete",
    "export",
    "import",
    "login",
    "logout",
    "context",
]


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert f"\n  {command} " in text


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "context"] + ["context set"])
def test_the_help_of_a_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    assert f"ai-chat {command} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("list", "ai-chat list [OPTIONS] [TEXT]"),
        ("send", "ai-chat send [OPTIONS] NAME TEXT|-"),
        ("label", "ai-chat label [OPTIONS] NAME [KEY=VALUE|KEY-]..."),
        ("context use", "ai-chat context use [OPTIONS] NAME"),
    ],
)
def test_the_usage_of_a_command_reads_as_in_manuals(
    command: str, usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: {usage}\n")
    assert "<str>" not in text


def test_help_does_not_wait_for_what_only_commands_need() -> None:
    code = (
        "import sys; from ai_chat_cli.__main__ import run; run(['--help']);"
        "heavy = {'grpc', 'google.protobuf', 'prompt_toolkit', 'asyncio', 'rich.console', 'pydantic'};"
        "loaded = heavy & set(sys.modules);"
        "sys.exit(', '.join(loaded) or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stderr == ""
    assert ran.returncode == 0
