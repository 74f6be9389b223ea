"""The typer application."""

import typer

from ai_chat_cli.cli import contexts, identity, reading, root, writing

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
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("list")(reading.list_)
app.command()(reading.show)
app.command()(reading.tail)
app.command()(writing.send)
app.command()(writing.ask)
app.command()(writing.title)
app.command()(writing.label)
app.command()(writing.clear)
app.command()(writing.delete)
app.command()(reading.export)
app.command("import")(writing.import_)
app.command()(identity.login)
app.command()(identity.logout)
context_app.command("list")(contexts.list_)
context_app.command()(contexts.use)
context_app.command("set")(contexts.set_)
context_app.command()(contexts.delete)
app.add_typer(context_app)
