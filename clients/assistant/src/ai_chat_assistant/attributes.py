"""What is stored with a reply besides its text."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

ATTRIBUTES_BYTES: Final = 1024 * 1024
REASONING: Final = "reasoning"


def attributes(facts: Mapping[str, object], reasoning: Sequence[str]) -> str:
    """A JSON object: `facts`, and `parts` as the service itself would store them, the reasoning as one.

    Without the reasoning where both together exceed what a message may have; "" when there is nothing.
    """
    thought = "".join(reasoning)
    parts = [{"type": REASONING, "data": {"text": thought}}] if thought else []
    for values in ({**facts, "parts": parts} if parts else facts, facts):
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":")) if values else ""
        if len(text.encode()) <= ATTRIBUTES_BYTES:
            return text
    return ""
