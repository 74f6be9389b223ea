"""`make bench`: every figure, each a ratio within one run, against its target."""

import asyncio
import sys
from typing import Final

from bench import append, list_sessions
from bench.fanout.__main__ import run as fan_out

BENCHMARKS: Final = (append.measure, list_sessions.measure)


def main() -> None:
    """Prints what a call costs, one line each as soon as it is known; then how events reach viewers, in tables."""
    print(f"{'':50} {'µs/call':>9} {'base':>9} {'ratio':>7} {'target':>7}")
    for measure in BENCHMARKS:
        figure = asyncio.run(measure())
        met = "met" if figure.is_met else "MISSED"
        print(
            f"{figure.what:50} {figure.measured:9.0f} {figure.base:9.0f} {figure.ratio:7.2f} {figure.target:7.2f} {met}"
        )
        sys.stdout.flush()
    print()
    fan_out()


if __name__ == "__main__":
    main()
