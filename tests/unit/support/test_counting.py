"""What the soak and the rolling restart count by: each fault is seen as what it is."""

from typing import Any

import pytest
from ai_chat_client import ROLE_ASSISTANT, ROLE_USER, Message
from support.ledger import Ledger
from support.workload import Acknowledged, Verdict, judge


def _message(sequence: int) -> dict[str, Any]:
    return {"type": "user", "payload": {"id": f"m{sequence}", "sequence": sequence, "content": ""}}


def _chunk(at: int, text: str) -> dict[str, Any]:
    return {"type": "chunk", "payload": {"replyId": "m2", "content": text, "from": at, "to": at + 1}}


START = {"type": "start", "payload": {"replyId": "m2"}}


def _complete(content: str) -> dict[str, Any]:
    return {"type": "complete", "payload": {"id": "m2", "replyId": "m2", "sequence": 2, "content": content}}


@pytest.mark.parametrize(
    ("events", "faults"),
    [
        ([_message(1), START, _chunk(0, "a"), _chunk(1, "b"), _complete("ab")], (0, 0, 0)),
        ([_message(1), START, _chunk(0, "a"), _complete("ab")], (0, 0, 0)),
        ([_message(1), _message(1)], (1, 0, 0)),
        ([_message(1), _message(3)], (0, 1, 0)),
        ([_message(1), START, _chunk(0, "a"), _chunk(0, "a")], (1, 0, 0)),
        ([_message(1), START, _chunk(0, "a"), _chunk(2, "c")], (0, 0, 1)),
        ([_message(1), START, _chunk(0, "x"), _complete("ab")], (0, 0, 1)),
    ],
)
def test_a_viewer_notices(events: list[dict[str, Any]], faults: tuple[int, int, int]) -> None:
    ledger = Ledger()
    for event in events:
        ledger.take(event)
    assert (ledger.doubled, ledger.missing, ledger.torn) == faults


def test_what_was_under_way_while_the_history_was_loaded_is_not_doubled() -> None:
    ledger = Ledger()
    assert ledger.take({"type": "reset"})
    ledger.load([{"id": "m1"}, {"id": "m2"}])
    ledger.take(_message(2))
    ledger.take(_message(3))
    assert (ledger.ids, ledger.doubled) == (["m1", "m2", "m3"], 0)


@pytest.mark.parametrize(
    ("stored", "verdict"),
    [
        (["a", "b"], Verdict(2, lost=0, doubled=0, altered=0)),
        (["a", "unsure", "b"], Verdict(2, lost=0, doubled=0, altered=0)),
        (["a"], Verdict(2, lost=1, doubled=0, altered=0)),
        (["a", "b", "b"], Verdict(2, lost=0, doubled=1, altered=0)),
        (["a", "b", "nobody's"], Verdict(2, lost=0, doubled=1, altered=0)),
        (["b", "a"], Verdict(2, lost=0, doubled=0, altered=1)),
    ],
)
def test_a_session_is_compared_with_what_was_acknowledged(stored: list[str], verdict: Verdict) -> None:
    written = Acknowledged("s", ids=["a", "b"], unsure={"unsure"})
    assert judge(written, [Message(id=identity, role=ROLE_USER) for identity in stored]) == verdict


def test_a_reply_with_another_text_is_altered() -> None:
    written = Acknowledged("s", ids=["a"], texts={"a": "as it was said"})
    assert judge(written, [Message(id="a", role=ROLE_ASSISTANT, content="otherwise")]).altered == 1
