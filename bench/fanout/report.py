"""docs/fan-out.md: its tables, between two marks, and its picture."""

import re
from pathlib import Path
from typing import Final

from bench.fanout import picture, table
from bench.fanout.results import Results
from bench.fanout.targets import verdicts

_DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = _DOCS / "fan-out.md"
PICTURE: Final = _DOCS / "img" / "fan-out.svg"
_MEASURED: Final = re.compile(r"(<!-- measured -->\n).*?(<!-- /measured -->)", re.DOTALL)


def write(results: Results, page: Path = PAGE, image: Path = PICTURE) -> None:
    """Puts results where they are read; the text around them stays."""
    image.write_text(picture.draw(results), encoding="utf-8")
    page.write_text(fill(page.read_text(encoding="utf-8"), results), encoding="utf-8")


def fill(text: str, results: Results) -> str:
    """`text` with the tables of these results between its marks. ValueError when it has none."""
    filled, places = _MEASURED.subn(lambda found: f"{found[1]}\n{_measured(results)}\n\n{found[2]}", text)
    if places != 1:
        raise ValueError("the page needs one <!-- measured --> and, after it, one <!-- /measured -->")
    return filled


def _measured(results: Results) -> str:
    rows = [[each.what, each.target, each.found, "met" if each.is_met else "**missed**"] for each in verdicts(results)]
    return (
        f"{results.taken}, commit {results.commit}, {results.machine}, as medians.\n\n"
        f"### Targets\n\n{table.markdown(['', 'target', 'found', ''], rows)}\n\n{table.all_tables(results)}"
    )
