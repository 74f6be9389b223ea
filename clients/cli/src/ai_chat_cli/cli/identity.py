"""Who one is: a token, kept in a context."""
# ruff: noqa: PLC0415 - Loaded when it is run, see ai_chat_cli.cli.

from typing import Annotated

import typer

from ai_chat_cli.invocation import invocation


def login(
    ctx: typer.Context,
    address: Annotated[str | None, typer.Argument(metavar="[ADDRESS]", help="The server; else the one in use.")] = None,
) -> None:
    """Keep a token for a server, and use that server from now on.

    \b
      ai-chat login chat.example.com:443
      ai-chat login chat.example.com:443 --context team --tls-ca team-ca.pem
      ai-chat login chat.example.com:443 < token.txt
    The token is asked for without showing it, or read from stdin or --token-file. It is tried
    at the server first, then kept in a context of the config file, which only you can read;
    the context is named --context, else after the server.
    """
    from ai_chat_cli.commands import identity

    identity.login(invocation(ctx), address)


def logout(ctx: typer.Context) -> None:
    """Forget the token of the context in use, or of --context.

    \b
      ai-chat logout
      ai-chat logout --context team
    It stays valid for whoever else has it, until it expires or is revoked at the server.
    """
    from ai_chat_cli.commands import identity

    identity.logout(invocation(ctx))
