"""How a command ends at Ctrl-C, and how its help looks: `Usage: ai-chat send [OPTIONS] NAME TEXT|-`, as in manuals."""

from typing import TYPE_CHECKING

from typer.core import TyperArgument, TyperCommand

from ai_chat_cli import output

if TYPE_CHECKING:
    import typer
    from typer._click import HelpFormatter


class Command(TyperCommand):
    """Every argument has a metavar, in brackets when it may be left out, and stands in the usage as it is.

    typer would put further brackets or braces around it, and behind it the name of its Python type.
    """

    def invoke(self, ctx: "typer.Context") -> object:  # type: ignore[override]  # typer's own context.
        """Runs it; after a Ctrl-C the shell's prompt begins a line of its own."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            output.break_line()
            raise

    def collect_usage_pieces(self, ctx: "typer.Context") -> list[str]:  # type: ignore[override]  # typer's own context.
        """What stands behind the command's name."""
        return [self.options_metavar or "", *(argument.metavar or "" for argument in self._arguments(ctx))]

    def format_options(self, ctx: "typer.Context", formatter: "HelpFormatter") -> None:  # type: ignore[override]  # As above.
        """What the arguments and the options mean."""
        arguments = [((found.metavar or "").strip("[]."), found.help or "") for found in self._arguments(ctx)]
        options = [
            record
            for found in self.get_params(ctx)
            if not isinstance(found, TyperArgument) and (record := found.get_help_record(ctx)) is not None
        ]
        for title, rows in (("Arguments", arguments), ("Options", options)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def _arguments(self, ctx: "typer.Context") -> list[TyperArgument]:
        return [found for found in self.get_params(ctx) if isinstance(found, TyperArgument)]
