"""The results as a picture: SVG that follows the reader's light or dark theme."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from bench.fanout.contenders import GATEWAY, NCHAN, PEER
from bench.fanout.results import Results, Sample, middle
from bench.fanout.scenarios import MANY, ONE, Scenario
from bench.fanout.table import per_cpu_second

_CLASSES: Final = {GATEWAY: "ours", NCHAN: "nchan", PEER: "peer"}
_STYLE: Final = """
.ground{fill:#ffffff}.text{fill:#0f172a}.faint{fill:#475569}.grid{stroke:#e2e8f0}.axis{stroke:#94a3b8}
.ours{--c:#4f46e5}.nchan{--c:#c2410c}.peer{--c:#64748b}
@media (prefers-color-scheme: dark){
.ground{fill:#0f172a}.text{fill:#f1f5f9}.faint{fill:#cbd5e1}.grid{stroke:#1e293b}.axis{stroke:#64748b}
.ours{--c:#a5b4fc}.nchan{--c:#fdba74}.peer{--c:#94a3b8}}
.title{font-weight:600;font-size:15px}.small{font-size:12px}.grid,.axis{stroke-width:1}
.curve{fill:none;stroke:var(--c);stroke-width:2.5;stroke-linejoin:round}.ours.curve{stroke-width:3.5}
.dot,.bar{fill:var(--c)}.end{text-anchor:end}.mid{text-anchor:middle}
""".replace("\n", "")
_WIDTH: Final = 920
_HEIGHT: Final = 700
_PLOT_WIDTH: Final = 330
_PLOT_HEIGHT: Final = 200
_COLUMNS: Final = (80, 545)
_ROWS: Final = (120, 420)
_WIDE: Final = 200
"""Of a scale: so many times its lowest value, and more."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """Values from `low` to `high`, by their logarithm, on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def levels(self) -> list[float]:
        """Round values within: powers of ten, and their double and fivefold where these are few."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1, 2, 5) if self.high / self.low < _WIDE else (1,)
        levels = [step * 10.0**power for power in powers for step in steps]
        return [level for level in levels if self.low <= level <= self.high]


def draw(results: Results) -> str:
    """The whole picture."""
    names = results.contenders(ONE.name)
    panels = [
        _curves(results, ONE, per_cpu_second, f"{ONE.name}: events told per CPU-second", _COLUMNS[0], _ROWS[0]),
        _curves(results, MANY, per_cpu_second, f"{MANY.name}: the same", _COLUMNS[1], _ROWS[0]),
        _curves(results, ONE, _p99, f"{ONE.name}: p99 from publish to read, ms", _COLUMNS[0], _ROWS[1]),
        _bars(results, "Memory of an idle viewer, KiB", _COLUMNS[1], _ROWS[1]),
    ]
    label = "Events told per CPU-second, latency and memory of " + ", ".join(names)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(label)}" '
        'font-family="ui-sans-serif, system-ui, -apple-system, \'Segoe UI\', sans-serif" font-size="13">\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect class="ground" width="{_WIDTH}" height="{_HEIGHT}" rx="14"/>\n'
        f"{_legend(names)}\n" + "\n".join(panels) + "\n</svg>\n"
    )


def _legend(names: Sequence[str]) -> str:
    items = []
    x = _COLUMNS[0] - 45
    for name in names:
        items.append(
            f'<g class="{_CLASSES[name]}"><rect class="bar" x="{x}" y="34" width="22" height="6" rx="3"/></g>'
            f'<text class="text" x="{x + 30}" y="42">{escape(name)}</text>'
        )
        x += 60 + 8 * len(name)
    return "".join(items)


def _curves(
    results: Results, scenario: Scenario, value: Callable[[Sample], float], title: str, left: int, top: int
) -> str:
    rates = results.rates(scenario.name)
    if not rates:
        return ""
    points = {
        name: [(rate, middle(results.of(scenario.name, rate, name), value)) for rate in rates]
        for name in results.contenders(scenario.name)
    }
    values = [y for each in points.values() for _, y in each]
    across = _Scale(rates[0], rates[-1], left, left + _PLOT_WIDTH)
    up = _Scale(min(values) / 1.4, max(values) * 1.4, top + _PLOT_HEIGHT, top)
    return (
        _heading(title, left, top)
        + "".join(_level(up(level), _short(level), left) for level in up.levels())
        + "".join(_mark_rate(across(rate), rate, scenario, top) for rate in rates)
        + _axis(left, top)
        + "".join(_curve(name, [(across(x), up(y)) for x, y in each]) for name, each in reversed(points.items()))
        + f'<text class="faint small mid" x="{left + _PLOT_WIDTH / 2}" y="{top + _PLOT_HEIGHT + 40}">'
        + "events a second</text>"
    )


def _curve(name: str, points: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points)
    kind = _CLASSES[name]
    return f'<polyline class="{kind} curve" points="{path}"/><g class="{kind}">{dots}</g>'


def _bars(results: Results, title: str, left: int, top: int) -> str:
    costs = [
        (name, cost / 1024)
        for name in dict.fromkeys(each.contender for each in results.idle)
        if (cost := results.idle_bytes(name)) is not None
    ]
    if not costs:
        return ""
    longest = max(cost for _, cost in costs)
    drawn = [_heading(title, left, top)]
    for at, (name, cost) in enumerate(costs):
        y = top + 20 + at * 60
        width = cost / longest * (_PLOT_WIDTH - 60)
        drawn.append(
            f'<text class="text" x="{left}" y="{y}">{escape(name)}</text>'
            f'<g class="{_CLASSES[name]}">'
            f'<rect class="bar" x="{left}" y="{y + 8}" width="{width:.1f}" height="18" rx="4"/></g>'
            f'<text class="faint" x="{left + width + 8:.1f}" y="{y + 22}">{cost:.1f}</text>'
        )
    return "".join(drawn)


def _heading(title: str, left: int, top: int) -> str:
    return f'<text class="text title" x="{left - 45}" y="{top - 22}">{escape(title)}</text>'


def _axis(left: int, top: int) -> str:
    bottom = top + _PLOT_HEIGHT
    return f'<line class="axis" x1="{left}" y1="{bottom}" x2="{left + _PLOT_WIDTH}" y2="{bottom}"/>'


def _level(y: float, text: str, left: int) -> str:
    return (
        f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{left + _PLOT_WIDTH}" y2="{y:.1f}"/>'
        f'<text class="faint small end" x="{left - 8}" y="{y + 4:.1f}">{text}</text>'
    )


def _mark_rate(x: float, rate: int, scenario: Scenario, top: int) -> str:
    bottom = top + _PLOT_HEIGHT
    text = "saturation" if rate == scenario.saturation else str(rate)
    return (
        f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>'
        f'<text class="faint small mid" x="{x:.1f}" y="{bottom + 18}">{text}</text>'
    )


def _short(value: float) -> str:
    for size, letter in ((1_000_000, "M"), (1000, "k")):
        if value >= size:
            return f"{value / size:.0f}{letter}"
    return f"{value:g}"


def _p99(sample: Sample) -> float:
    return sample.p99
