"""`python -m bench.fanout`: the fan-out alone. `--report` writes what was last measured into docs/."""

import argparse
import signal
import sys

from bench.fanout import report, results, table
from bench.fanout.measuring import FULL, QUICK, measure
from bench.fanout.targets import verdicts


def main() -> None:
    """Measures and keeps the results, or writes the kept ones into the documentation."""
    parser = argparse.ArgumentParser(prog="python -m bench.fanout", description="Measure how events reach viewers.")
    parser.add_argument("--quick", action="store_true", help="one round of everything, for a first look")
    parser.add_argument("--report", action="store_true", help="measure nothing: write the last results into docs/")
    asked = parser.parse_args()
    if asked.report:
        report.write(_kept())
        return
    run(quick=asked.quick)


def run(*, quick: bool = False) -> None:
    """Measures, prints tables and targets, and keeps the results."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # As Ctrl-C: an nginx worker outlives its killed master.
    found = results.empty()
    try:
        measure(QUICK if quick else FULL, found, lambda text: print(text, flush=True))
    finally:
        results.save(found)
    rows = [[each.what, each.target, each.found, "met" if each.is_met else "MISSED"] for each in verdicts(found)]
    print(table.markdown(["", "target", "found", ""], rows))
    print(f"\nkept in {results.FILE}; `python -m bench.fanout --report` writes it into docs/")


def _kept() -> results.Results:
    try:
        return results.load()
    except FileNotFoundError:
        sys.exit("nothing has been measured here yet: run `make bench`")


if __name__ == "__main__":
    main()
