"""How far long work has come, on stderr, where people look at it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ai_chat_cli.text import safe_line


@contextmanager
def progress(what: str, total: int, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Yields a function that takes how much more is done. `total` 0: unknown.

    Shows nothing without a terminal, nor when not `shown`: where the data itself, or a pager, has the screen.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=not (shown and console.is_terminal),
        redirect_stdout=False,  # What is redirected would be printed on the terminal, not where it was meant to go.
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task(safe_line(what), total=total or None)
        yield lambda count: bar.update(task, advance=count)
