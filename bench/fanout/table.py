"""Results as tables in Markdown, which read well in a terminal too."""

from collections.abc import Sequence
from statistics import median
from typing import Final

from bench.fanout.contenders import GATEWAY, NCHAN
from bench.fanout.replying import END_TO_END, REJOIN
from bench.fanout.results import Results, Sample, middle
from bench.fanout.scenarios import FAN_OUT, Scenario

_KIB: Final = 1024


def all_tables(results: Results) -> str:
    """Everything that was measured, a table each, with its title."""
    titled = [(f"{each.name} ({_rounds(results, each.name)} rounds)", fan_out(results, each)) for each in FAN_OUT]
    titled += [
        (f"Real replies ({_rounds(results, REJOIN)} rounds)", replying(results)),
        ("Idle viewers", idle(results)),
        ("One reply", one_reply(results)),
    ]
    return "\n\n".join(f"### {title}\n\n{table}" for title, table in titled if table)


def fan_out(results: Results, scenario: Scenario) -> str:
    """One scenario: a line for each rate."""
    names = results.contenders(scenario.name)
    if not names:
        return ""
    compared = GATEWAY in names and NCHAN in names
    heading = ["events/s", *(f"{name}: events per CPU-s" for name in names)]
    heading += ["against nchan"] if compared else []
    heading += [f"{name}: p50 / p99 ms" for name in names] + [f"{name}: missing, doubled" for name in names]
    rows = []
    for rate in results.rates(scenario.name):
        of = {name: results.of(scenario.name, rate, name) for name in names}
        row = [f"{rate}{' (saturation)' if rate == scenario.saturation else ''}"]
        row += [_thousands(middle(of[name], per_cpu_second)) for name in names]
        row += [f"x {advantage(results, scenario.name, rate):.2f}"] if compared else []
        row += [_latency(of[name]) for name in names] + [_faults(of[name]) for name in names]
        rows.append(row)
    return markdown(heading, rows)


def replying(results: Results) -> str:
    """Replies that went through session-svc."""
    rows = []
    for scenario in (REJOIN, END_TO_END):
        for name in results.contenders(scenario):
            (rate,) = results.rates(scenario)
            of = results.of(scenario, rate, name)
            back = middle(of, lambda sample: sample.back)
            rows.append(
                [
                    scenario,
                    name,
                    _thousands(middle(of, per_cpu_second)),
                    _latency(of),
                    f"{back:.0f} ms" if back else "",
                    _faults(of),
                ]
            )
    heading = ["", "", "events per CPU-s", "p50 / p99 ms", "all are back after", "missing, doubled"]
    return markdown(heading, rows) if rows else ""


def idle(results: Results) -> str:
    """Memory of a viewer to whom nothing happens."""
    rows = [
        [name, f"{cost / _KIB:.1f}"]
        for name in dict.fromkeys(each.contender for each in results.idle)
        if (cost := results.idle_bytes(name)) is not None
    ]
    return markdown(["", f"KiB each of {results.idle[0].viewers} viewers"], rows) if rows else ""


def one_reply(results: Results) -> str:
    """What one reply costs: its first token, and its trips to Redis."""
    rows = []
    if results.first_token:
        delta = median(each.delta for each in results.first_token)
        bare = median(each.asyncio_publish for each in results.first_token)
        raw = median(each.raw_publish for each in results.first_token)
        without = median(each.without_fsync for each in results.first_token)
        rows += [
            ["first token, from StreamReply's delta to a browser's socket, p50", f"{delta / 1000:.2f} ms"],
            ["the same without fsync in Redis (`appendfsync no`)", f"{without / 1000:.2f} ms"],
            ["bare PUBLISH to SUBSCRIBE, redis-py on asyncio", f"{bare / 1000:.2f} ms; x {delta / bare:.1f}"],
            ["bare PUBLISH to SUBSCRIBE, plain sockets", f"{raw / 1000:.2f} ms; x {delta / raw:.1f}"],
        ]
    if results.bursts:
        scripts = median(each.scripts for each in results.bursts)
        rows.append([f"scripts in Redis for a reply of {results.bursts[0].tokens} tokens at once", f"{scripts:.0f}"])
    return markdown(["", ""], rows) if rows else ""


def advantage(results: Results, scenario: str, rate: int) -> float:
    """How many times as many events stream-gateway tells for a CPU-second as nchan, as the median of the rounds."""
    pairs = zip(results.of(scenario, rate, GATEWAY), results.of(scenario, rate, NCHAN), strict=False)
    return median(ours.per_cpu_second / theirs.per_cpu_second for ours, theirs in pairs)


def per_cpu_second(sample: Sample) -> float:
    """The figure of most interest."""
    return sample.per_cpu_second


def markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with padded columns; all but the first are aligned to the right."""
    widths = [max(len(row[at]) for row in (heading, *rows)) for at in range(len(heading))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join([first, *others]) + " |"

    ruler = "|" + "|".join("-" * (width + 2) if at == 0 else "-" * (width + 1) + ":" for at, width in enumerate(widths))
    return "\n".join([line(heading), ruler + "|", *map(line, rows)])


def _rounds(results: Results, scenario: str) -> int:
    names, rates = results.contenders(scenario), results.rates(scenario)
    return min((len(results.of(scenario, rate, name)) for rate in rates for name in names), default=0)


def _thousands(value: float) -> str:
    return f"{value / 1000:.0f}k" if value >= 10_000 else f"{value / 1000:.1f}k"


def _latency(samples: Sequence[Sample]) -> str:
    p50, p99 = middle(samples, lambda sample: sample.p50), middle(samples, lambda sample: sample.p99)
    return f"{_milliseconds(p50)} / {_milliseconds(p99)}"


def _milliseconds(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _faults(samples: Sequence[Sample]) -> str:
    """Over all rounds, not the median: one lost event is one too many."""
    missing, doubled = sum(each.missing for each in samples), sum(each.doubled for each in samples)
    offered = sum(each.offered for each in samples)
    share = f"{100 * missing / offered:.1f} %" if missing > offered / 1000 else str(missing)
    return f"{share}, {doubled}"
