"""Events as they arrive: a chunk is read the short way exactly as it would be read the long way."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st
from stream_gateway.events import Kind, compose, parse_any, parse_chunk
from stream_gateway.position import ABSENT, Position
from stream_gateway.reply import quote

HEAD = Position("m3abcd0000", 4)

texts = st.text(st.characters(), max_size=12)
counts = st.integers(0, 12)
odd: st.SearchStrategy[object] = st.one_of(
    texts,
    st.integers(-1, 10**18),
    st.sampled_from([True, False, None, 1.0, 10**30, [], {}, "1", "m3abcd0000.04", f"m3abcd0000.{'9' * 17}", "0.0"]),
)


@st.composite
def chunks(draw: st.DrawFn) -> bytes:
    """A chunk in session-svc's spelling, but for one thing or none."""
    payload: dict[str, object] = {"content": draw(texts), "replyId": "r-1", "from": draw(counts), "to": draw(counts)}
    event: dict[str, object] = {"type": "chunk", "payload": payload, "timestamp": 1, "position": str(HEAD)}
    where = draw(st.sampled_from([payload, event]))
    key = draw(st.sampled_from([*where]))
    match draw(st.sampled_from(["same", "odd", "missing", "last"])):
        case "odd":
            where[key] = draw(odd)
        case "missing":
            del where[key]
        case "last":
            where[key] = where.pop(key)
    separators = draw(st.sampled_from([(",", ":"), (",", ":"), (", ", ": ")]))
    text = json.dumps(event, ensure_ascii=draw(st.booleans()), separators=separators)
    return text.encode(errors="surrogatepass")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A chunk of which a piece was replaced."""
    whole = draw(chunks())
    at = draw(st.integers(0, len(whole)))
    end = min(len(whole), at + draw(st.integers(0, 3)))
    return whole[:at] + draw(st.one_of(st.binary(max_size=2), st.sampled_from([b'"', b"\\", b" ", b"0"]))) + whole[end:]


def chunk(content: str = "", first: str = "3", after: str = "4", position: Position = HEAD) -> bytes:
    return compose("chunk", f'{{"content":"{content}","replyId":"r","from":{first},"to":{after}}}', 1, position)


@settings(max_examples=300, deadline=None)
@given(st.one_of(chunks(), damaged()))
@example(chunk(after="3"))
@example(chunk(first="03"))
@example(chunk(after="04"))
@example(chunk(position=ABSENT))
@example(chunk("\\ud800"))
@example(chunk("\xff").replace("\xff".encode(), b"\xff"))
@example(chunk() + b" ")
@example(chunk() + b"}")
@example(chunk().replace(b'""', b"5"))
@example(chunk().replace(b'"r"', b'"r\\n"'))
@example(chunk().replace(b".4", b".04"))
@example(b'{"type":"chunk","payload":{"content":' + b"[" * 100_000)
def test_a_chunk_that_is_read_the_short_way_is_what_it_is_the_long_way(data: bytes) -> None:
    assert parse_chunk(data) in (None, parse_any(data))


@given(texts, st.integers(0, 9999), st.integers(1, 9))
def test_every_text_is_read_the_short_way_in_the_usual_spelling(text: str, first: int, count: int) -> None:
    payload = f'{{"content":{quote(text)},"replyId":"r-1","from":{first},"to":{first + count}}}'
    event = parse_chunk(compose("chunk", payload, 1795398200036, HEAD))

    assert event is not None
    assert (event.kind, event.position, event.reply_id) == (Kind.REPLY_EXTENDED, HEAD, "r-1")
    assert event.extension == ("r-1", first, first + count, text)
