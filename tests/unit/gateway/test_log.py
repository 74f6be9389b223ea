"""The log: what is said beside it is judged by where it was said."""

import pytest
from stream_gateway.events import compose, parse
from stream_gateway.log import Log
from stream_gateway.position import ABSENT, Position
from stream_gateway.verdict import Verdict

HEAD = Position("m3abcd0000", 4)
PAYLOADS = {
    "start": '{"replyId":"r"}',
    "chunk": '{"content":"x","replyId":"r","from":0,"to":1}',
    "part": '{"type":"tool","data":1,"replyId":"r","from":0,"to":1}',
    "updated": "{}",
}


def judged(type_: str, position: Position, head: Position = HEAD) -> Verdict:
    event = parse(compose(type_, PAYLOADS[type_], 1, position))
    assert event
    return Log(head).judge(event)


@pytest.mark.parametrize("type_", PAYLOADS)
def test_what_is_said_at_the_head_comes_next_and_beyond_it_something_was_missed(type_: str) -> None:
    assert judged(type_, HEAD) is Verdict.NEXT
    assert judged(type_, HEAD.at(5)) is Verdict.HOLE
    assert judged(type_, Position("m3abcd0001", 4)) is Verdict.HOLE
    assert judged(type_, Position("m3abcc0000", 4)) is Verdict.KNOWN
    assert judged(type_, Position("m3abcd0000", 0), ABSENT) is Verdict.NEXT


def test_of_what_was_said_before_the_head_only_a_reply_is_known_to_be_over() -> None:
    assert {judged(type_, HEAD.at(3)) for type_ in ("start", "chunk", "part")} == {Verdict.KNOWN}
    assert judged("updated", HEAD.at(3)) is Verdict.NEXT
