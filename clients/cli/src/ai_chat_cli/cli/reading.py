"""Commands that only read."""
# ruff: noqa: PLC0415 - Loaded when it is run, see ai_chat_cli.cli.

from pathlib import Path
from typing import Annotated

import typer

from ai_chat_cli.cli.root import complete_session
from ai_chat_cli.invocation import invocation

SessionArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]", help="The session; else the one of AI_CHAT_SESSION.", autocompletion=complete_session
    ),
]


def list_(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(metavar="[TEXT]", help="Only those with TEXT in name or title.")] = "",
    label: Annotated[
        list[str] | None, typer.Option("-l", "--label", metavar="KEY=VALUE", help="Only those with this label.")
    ] = None,
    owner: Annotated[str, typer.Option(metavar="NAME", help="Only those created by NAME.")] = "",
    limit: Annotated[int, typer.Option("-n", "--limit", metavar="N", min=1, help="At most so many.")] = 50,
    every: Annotated[bool, typer.Option("-a", "--all", help="All of them.")] = False,
) -> None:
    """List sessions, the latest activity first.

    \b
      ai-chat list
      ai-chat list deploy --owner alice
      ai-chat list --json --label team=core
    Into a pipe it prints tab-separated: name, messages, last activity, title.
    """
    from ai_chat_cli.commands import listing

    listing.list_sessions(invocation(ctx), text, label or [], owner, None if every else limit)


def show(
    ctx: typer.Context,
    name: SessionArgument = None,
    last: Annotated[
        int | None, typer.Option("-n", "--last", metavar="N", min=1, help="Only the last so many messages.")
    ] = None,
) -> None:
    """Print a session's messages.

    \b
      ai-chat show my-project
      ai-chat show my-project -n 20
      ai-chat show my-project --json | jq -r .content
    """
    from ai_chat_cli.commands import showing

    showing.show(invocation(ctx), name, last)


def tail(
    ctx: typer.Context,
    name: SessionArgument = None,
    last: Annotated[
        int, typer.Option("-n", "--last", metavar="N", min=0, max=1000, help="Begin with the last so many.")
    ] = 10,
    follow: Annotated[
        bool,
        typer.Option(
            "-f/-F", "--follow/--no-follow", show_default=False, help="Go on with what is written (unless -F)."
        ),
    ] = True,
) -> None:
    """Print a session's last messages and follow it.

    \b
      ai-chat tail my-project
      ai-chat tail my-project -n 0 --json
    The session need not exist yet. It ends when the session is deleted, and on Ctrl-C.
    """
    from ai_chat_cli.commands import tailing

    tailing.tail(invocation(ctx), name, last, follow=follow)


def export(
    ctx: typer.Context,
    name: SessionArgument = None,
    form: Annotated[
        str | None,
        typer.Option("-f", "--format", metavar="jsonl|json|md", help="Else by the file's ending, else jsonl."),
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Else stdout.")] = None,
) -> None:
    """Write a whole session to a file.

    \b
      ai-chat export my-project -o my-project.jsonl      to be imported again
      ai-chat export my-project --format md | less       to be read
    """
    from ai_chat_cli.commands import exporting

    exporting.export(invocation(ctx), name, form, out)
