"""The typer application."""

import typer

from ai_chat_cli.cli import contexts, identity, reading, root, writing
from ai_chat_cli.cli.command import Command

app = typer.Typer(
    name="ai-chat",
    callback=root.root,
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
context_app = typer.Typer(
    name="context",
    help="Named sets of settings: server, tlsCa, token, session, ttl, author, webUrl.",
    rich_markup_mode=None,
)
app.command("list", cls=Command)(reading.list_)
app.command(cls=Command)(reading.show)
app.command(cls=Command)(reading.tail)
app.command(cls=Command)(writing.send)
app.command(cls=Command)(writing.ask)
app.command(cls=Command)(writing.title)
app.command(cls=Command)(writing.label)
app.command(cls=Command)(writing.clear)
app.command(cls=Command)(writing.delete)
app.command(cls=Command)(reading.export)
app.command("import", cls=Command)(writing.import_)
app.command(cls=Command)(identity.login)
app.command(cls=Command)(identity.logout)
context_app.command("list", cls=Command)(contexts.list_)
context_app.command(cls=Command)(contexts.use)
context_app.command("set", cls=Command)(contexts.set_)
context_app.command(cls=Command)(contexts.delete)
app.add_typer(context_app)
