"""Server-sent events, read back by the standard's own rules."""

import json

from hypothesis import given
from hypothesis import strategies as st
from stream_gateway import sse
from support.event_stream import EventStream


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()), st.sampled_from([None, "m3abcd.5"]))
def test_a_reader_gets_the_object_and_the_id_that_were_encoded(value: dict[str, object], event_id: str | None) -> None:
    stream = EventStream()

    [event] = stream.feed(sse.encode(json.dumps(value, ensure_ascii=False).encode(), event_id))

    assert event.json() == value
    assert stream.last_id == (event_id or "")


def test_line_ends_between_the_tokens_of_json_do_not_break_a_frame() -> None:
    stream = EventStream()

    [event] = stream.feed(sse.encode(b'{"a":\r\n1,\n"b":\r2}'))

    assert event.json() == {"a": 1, "b": 2}


def test_the_first_frame_says_when_and_where_to_come_back() -> None:
    stream = EventStream()

    assert stream.feed(sse.opening(2000, "m3abcd.7")) == []
    assert (stream.retry, stream.last_id) == (2000, "m3abcd.7")


def test_a_mark_moves_the_place_to_resume_from_without_an_event() -> None:
    stream = EventStream()

    assert stream.feed(sse.encode(b"{}", "m3abcd.1") + sse.mark("m3abcd.2") + sse.HEARTBEAT)[1:] == []
    assert stream.last_id == "m3abcd.2"
