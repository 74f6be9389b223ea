"""From samples to a page: medians, targets, tables and a picture."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench.fanout import picture, report, results, table
from bench.fanout.contenders import GATEWAY, NCHAN
from bench.fanout.publisher import expected
from bench.fanout.results import Idle, Results, Sample
from bench.fanout.scenarios import ONE
from bench.fanout.stage import percentile
from bench.fanout.targets import verdicts


def sample(contender: str, per_cpu_second: float, *, rate: int = 20, missing: int = 0, p99: float = 2.0) -> Sample:
    return Sample(ONE.name, rate, contender, per_cpu_second, 1.0, p99, 1000, missing, 0, 0.1)


def measured() -> Results:
    found = results.empty()
    for rate in (20, ONE.saturation):
        found.samples += [sample(GATEWAY, value, rate=rate) for value in (10_000, 30_000, 90_000)]
        found.samples += [sample(NCHAN, value, rate=rate) for value in (20_000, 20_000, 20_000)]
    found.idle += [Idle(GATEWAY, 5000, 8192.0), Idle(NCHAN, 5000, 16384.0)]
    return found


def test_the_advantage_is_the_median_of_the_rounds() -> None:
    assert table.advantage(measured(), ONE.name, 20) == pytest.approx(1.5)


def test_one_event_missing_in_one_round_misses_the_target() -> None:
    found = measured()
    assert verdicts(found)[-1].is_met
    found.samples.append(sample(GATEWAY, 30_000, missing=1))
    assert not verdicts(found)[-1].is_met


def test_saturation_asks_for_twice_as_much() -> None:
    met = {each.what: each.is_met for each in verdicts(measured())}
    assert met[f"{ONE.name}, 20 events/s: events per CPU-second / nchan's"]
    assert not met[f"{ONE.name}, {ONE.saturation} events/s (saturation): events per CPU-second / nchan's"]


def test_results_are_kept_and_read_again(tmp_path: Path) -> None:
    found = measured()
    results.save(found, tmp_path / "deep" / "kept.json")
    assert results.load(tmp_path / "deep" / "kept.json") == found


def test_a_report_replaces_only_what_lies_between_the_marks() -> None:
    page = "before\n<!-- measured -->\nold\n<!-- /measured -->\nafter\n"
    filled = report.fill(page, measured())
    assert filled.startswith("before\n<!-- measured -->\n")
    assert filled.endswith("<!-- /measured -->\nafter\n")
    assert "old" not in filled
    assert "x 1.50" in filled
    assert report.fill(filled, measured()) == filled


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="measured"):
        report.fill("nothing to fill", measured())


def test_the_picture_is_an_svg_that_can_be_parsed() -> None:
    drawn = ET.fromstring(picture.draw(measured()))  # noqa: S314 - It is ours.
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    assert "8.0" in "".join(drawn.itertext())


def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed() -> None:
    ordered = list(range(1, 101))
    assert [percentile(ordered, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert percentile([7], 0.99) == 7


def test_events_go_round_the_sessions() -> None:
    assert expected(7, 3) == [3, 2, 2]
    assert sum(expected(20, 200)) == 20
