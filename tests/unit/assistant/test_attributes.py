"""What is stored with a reply besides its text."""

import json

from ai_chat_assistant.attributes import ATTRIBUTES_BYTES, attributes


def test_facts_and_the_reasoning_as_one_part_are_kept() -> None:
    kept = json.loads(attributes({"usage": {"n": 1}}, ["Let me ", "think."]))
    assert kept == {"usage": {"n": 1}, "parts": [{"type": "reasoning", "data": {"text": "Let me think."}}]}


def test_without_anything_there_are_none() -> None:
    assert attributes({}, []) == ""


def test_reasoning_that_a_message_cannot_hold_is_left_out_and_the_facts_stay() -> None:
    assert json.loads(attributes({"usage": 1}, ["ä" * ATTRIBUTES_BYTES])) == {"usage": 1}
