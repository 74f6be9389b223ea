"""`ai-chat context`: named sets of settings in the config file."""
# ruff: noqa: PLC0415 - Loaded when it is run, see ai_chat_cli.cli.

from typing import Annotated

import typer

from ai_chat_cli.invocation import invocation

Name = Annotated[str, typer.Argument(metavar="NAME", help="The context.")]


def list_(ctx: typer.Context) -> None:
    """List contexts; a star marks the one in use. Tokens are not shown."""
    from ai_chat_cli.commands import contexts

    contexts.list_contexts(invocation(ctx))


def use(ctx: typer.Context, name: Name) -> None:
    """Use a context from now on."""
    from ai_chat_cli.commands import contexts

    contexts.use(invocation(ctx), name)


def set_(ctx: typer.Context, name: Name) -> None:
    """Add a context, or change what is given of one. The first one is used from now on.

    \b
      ai-chat context set team --server chat.example.com:443 --token-file ~/team.token
      ai-chat context set team --ttl 86400
    The token is copied into the config file, which only you can read.
    """
    from ai_chat_cli.commands import contexts

    contexts.set_context(invocation(ctx), name)


def delete(ctx: typer.Context, name: Name) -> None:
    """Delete a context."""
    from ai_chat_cli.commands import contexts

    contexts.delete(invocation(ctx), name)
