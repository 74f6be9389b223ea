"""`ai-chat` itself: the options of every command, and the chat."""
# ruff: noqa: PLC0415 - Loaded when it is run, see ai_chat_cli.cli.

import importlib.metadata
from typing import Annotated

import typer

from ai_chat_cli.failure import CliError, ExitCode
from ai_chat_cli.invocation import Invocation
from ai_chat_cli.settings import Flags

_CONNECTION = "SETTINGS (may stand anywhere; a flag wins over the environment, and that over the config file)"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ai-chat {importlib.metadata.version('ai-chat-cli')}")
        raise typer.Exit


def complete_session(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of sessions for the shell."""
    from ai_chat_cli.completion import session_names

    return session_names(ctx.find_root().params, incomplete)


def root(
    ctx: typer.Context,
    session: Annotated[
        str | None,
        typer.Option(
            "-s",
            "--session",
            metavar="NAME",
            help="Start or resume this session. [AI_CHAT_SESSION, else REDIS_SESSION_NAME]",
            autocompletion=complete_session,
        ),
    ] = None,
    existing: Annotated[
        bool, typer.Option("--existing", help="With -s: fail (exit 3) when there is no such session.")
    ] = False,
    last: Annotated[bool, typer.Option("-c", "--continue", help="Resume the session used last.")] = False,
    resume: Annotated[
        str | None,
        typer.Option("-r", "--resume", metavar="[TEXT]", help="Pick from a list of sessions, of those with TEXT."),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Or http://..., https://...; anything but this machine or http:// means TLS."
            " [AI_CHAT_SERVER; default: localhost:50051]",
        ),
    ] = None,
    tls_ca: Annotated[
        str | None, typer.Option(metavar="FILE", help="Trust the authorities in this PEM file. [AI_CHAT_TLS_CA]")
    ] = None,
    token_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Send the token in this file. [AI_CHAT_TOKEN: the token itself]")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow a token without encryption to another machine.")
    ] = False,
    context: Annotated[
        str | None, typer.Option(metavar="NAME", help="Use this context of the config file. [AI_CHAT_CONTEXT]")
    ] = None,
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help="The config file. [default: ~/.config/ai-chat/config.json]")
    ] = None,
    ttl: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS", help="Time to live of sessions created; 0: for ever. [AI_CHAT_TTL, else REDIS_TTL]"
        ),
    ] = None,
    author: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who writes. [AI_CHAT_AUTHOR; default: your login name]")
    ] = None,
    web_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where the web page is. [AI_CHAT_WEB_URL; default: http://localhost:3000]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print data as JSON Lines.")] = False,
    version: Annotated[  # noqa: ARG001 - Its callback has acted before.
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Chat in named sessions that survive, resume anywhere and are watched live.

    \b
    Without a command a chat begins:
      ai-chat                       in a new session, whose name is printed
      ai-chat -s my-project         in this one, new or not
      ai-chat -c                    in the one used last
      ai-chat -r deploy             in one picked from those with "deploy" in name or title
    In the chat, /help says what else there is; Ctrl-D leaves.

    \b
    Without a chat:
      ai-chat send my-project "The build is green."
      git diff | ai-chat send my-project -
      ai-chat ask my-project "What is left to do?"
      ai-chat tail my-project       follow what is written
      ai-chat list --json | jq -r .name

    \b
    Exit codes: 0 ok, 1 other, 2 usage, 3 not found, 4 conflict, 5 unavailable,
    6 not allowed, 7 the reply failed or was interrupted, 8 nobody answered, 130 interrupted.
    """
    ctx.obj = Invocation(
        Flags(
            server=server,
            tls_ca=tls_ca,
            token_file=token_file,
            context=context,
            config=config,
            session=session,
            ttl=ttl,
            author=author,
            web_url=web_url,
            insecure=insecure,
        ),
        json=as_json,
    )
    if ctx.invoked_subcommand is not None:
        return
    if sum((session is not None, last, resume is not None)) > 1:
        raise CliError("-s, -c and -r exclude each other; give one", ExitCode.USAGE)
    from ai_chat_cli.commands.chat import Opening, chat

    raise typer.Exit(chat(ctx.obj, Opening(last=last, pick=resume, existing_only=existing)))
