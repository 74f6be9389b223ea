"""Marks are found again in whatever a server makes of the events."""

import json

from bench.fanout import marks

POSITION = "0mf1kzq3v0a1b2.0"


def test_a_chunk_is_the_json_that_session_svc_publishes() -> None:
    event = json.loads(marks.chunk(7, 3, 12, POSITION))
    assert event["type"] == "chunk"
    assert event["position"] == POSITION
    assert (event["payload"]["from"], event["payload"]["to"]) == (3, 4)
    assert event["payload"]["content"] == marks.mark(7, 3, 12)


def test_events_in_a_row_are_one_row_with_their_due_times() -> None:
    data = b"".join(b"data: " + marks.chunk(1, sequence, 100 + sequence, POSITION) + b"\n\n" for sequence in range(3))
    (found,) = marks.find(data)
    assert found == marks.Marks(1, range(3), (100, 101, 102))
    assert found.is_row


def test_chunks_joined_to_one_count_each() -> None:
    text = "".join(marks.mark(1, sequence, 5) for sequence in range(4))
    (found,) = marks.find(f'data: {{"type":"chunk","payload":{{"content":"{text}"}}}}\n\n'.encode())
    assert list(found.sequences) == [0, 1, 2, 3]


def test_runs_are_told_apart() -> None:
    data = marks.chunk(1, 9, 0, POSITION) + marks.chunk(2, 0, 0, POSITION)
    assert [each.run for each in marks.find(data)] == [1, 2]


def test_a_finished_message_is_told_from_the_chunks_that_it_repeats() -> None:
    text = marks.mark(1, 0, 0)
    data = marks.chunk(1, 0, 0, POSITION) + f'{{"type":"complete","payload":{{"content":"{text}"}}}}'.encode()
    live, finished = marks.find(data)
    assert not live.final
    assert finished.final


def test_each_snapshot_is_whole_by_itself() -> None:
    snapshot = (
        f'{{"type":"snapshot","payload":{{"chunks":["{marks.mark(1, 0, 0)}","{marks.mark(1, 1, 0)}"]}}}}'.encode()
    )
    first, second, live = marks.find(snapshot + snapshot + marks.chunk(1, 2, 0, POSITION))
    assert first.whole
    assert second.whole
    assert not live.whole
    assert list(second.sequences) == [0, 1]


def test_the_events_of_a_reply_without_text_have_no_marks() -> None:
    assert marks.find(marks.start(1, POSITION) + marks.complete(1, POSITION)) == []
