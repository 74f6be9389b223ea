"""What people see of a renderable."""

import io

from rich.console import Console, RenderableType


def plain(renderable: RenderableType, width: int = 100) -> str:
    """As text, without colours, on a screen of that width."""
    console = Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False)
    console.print(renderable, soft_wrap=False)
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())
