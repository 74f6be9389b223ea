"""Commands that change something."""
# ruff: noqa: PLC0415 - Loaded when it is run, see ai_chat_cli.cli.

from pathlib import Path
from typing import Annotated

import typer

from ai_chat_cli.cli.root import complete_session
from ai_chat_cli.invocation import invocation

Name = Annotated[str, typer.Argument(metavar="NAME", help="The session.", autocompletion=complete_session)]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask; needed without a terminal.")]


def send(
    ctx: typer.Context,
    name: Name,
    text: Annotated[str, typer.Argument(metavar="TEXT|-", help="The message; - reads it from stdin.")],
    role: Annotated[str, typer.Option(metavar="ROLE", help="user, assistant, system or tool.")] = "user",
    existing: Annotated[bool, typer.Option("--existing", help="Fail (exit 3) when there is no such session.")] = False,
) -> None:
    """Append a message to a session and return.

    \b
      ai-chat send my-project "The build is green."
      git diff | ai-chat send my-project -
      ai-chat send my-project --json -- "--text that begins with dashes"
    """
    from ai_chat_cli.commands import sending

    sending.send(invocation(ctx), name, text, role, existing_only=existing)


def ask(
    ctx: typer.Context,
    name: Name,
    text: Annotated[str, typer.Argument(metavar="TEXT|-", help="The question; - reads it from stdin.")],
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, show_default=False, help="How long an answer may take to begin; else 60."
        ),
    ] = 60.0,
) -> None:
    """Append a message to a session and print the answer as it is written.

    \b
      ai-chat ask my-project "What is left to do?"
      git diff | ai-chat ask my-project - > review.md
      ai-chat ask my-project --json "And now?" | jq -r .content
    Ctrl-C stops the answer. Exit codes: 7 the reply failed or was interrupted, 8 nobody
    answered in time; the message is kept.
    """
    from ai_chat_cli.commands import asking

    raise typer.Exit(asking.ask(invocation(ctx), name, text, timeout=timeout))


def title(
    ctx: typer.Context,
    name: Name,
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help='The new title; "" goes back to the automatic one.')
    ] = None,
) -> None:
    """Print or set a session's title.

    \b
      ai-chat title my-project
      ai-chat title my-project "Release 2.0"
    """
    from ai_chat_cli.commands import describing

    describing.title(invocation(ctx), name, text)


def label(
    ctx: typer.Context,
    name: Name,
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE|KEY-]...", help="Set a label, or remove it.")
    ] = None,
) -> None:
    """Print or change a session's labels.

    \b
      ai-chat label my-project
      ai-chat label my-project team=core draft-
      ai-chat label my-project assistant=none      nobody answers in it
    """
    from ai_chat_cli.commands import describing

    describing.label(invocation(ctx), name, changes or [])


def clear(ctx: typer.Context, name: Name, yes: Yes = False) -> None:
    """Remove all messages of a session; title, labels and owner stay.

    \b
      ai-chat clear my-project
    """
    from ai_chat_cli.commands import removing

    removing.clear(invocation(ctx), name, yes=yes)


def delete(ctx: typer.Context, name: Name, yes: Yes = False) -> None:
    """Delete a session with all its messages.

    \b
      ai-chat delete my-project
      ai-chat list old --json | jq -r .name | xargs -n1 ai-chat delete --yes
    """
    from ai_chat_cli.commands import removing

    removing.delete(invocation(ctx), name, yes=yes)


def import_(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="FILE|-", help="What `ai-chat export` wrote, jsonl or json.")],
    name: Annotated[str | None, typer.Option("--as", metavar="NAME", help="Else the name in the file.")] = None,
) -> None:
    """Make a session from an exported one, with everything in it.

    \b
      ai-chat import my-project.jsonl
      ai-chat import my-project.jsonl --as my-project-copy
    A session that has other messages is left alone (exit 4). When an import breaks off, start
    it again: it goes on where it was. Under tokens it needs the scope `admin`.
    """
    from ai_chat_cli.commands import importing

    importing.import_session(invocation(ctx), source, name)
