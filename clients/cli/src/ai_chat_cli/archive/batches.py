"""Messages in portions that one request can carry."""

from collections.abc import Iterable, Iterator

from aichat.session.v1 import session_pb2 as model

MESSAGES = 1000
BYTES = 3_500_000
"""Below the 4 MiB that a request may have, with room for what else is in it."""

_OVERHEAD = 8


def batches(messages: Iterable[model.Message]) -> Iterator[list[model.Message]]:
    """The messages in order, at most MESSAGES and BYTES at a time; a larger single one comes alone."""
    batch: list[model.Message] = []
    size = 0
    for message in messages:
        weight = message.ByteSize() + _OVERHEAD
        if batch and (len(batch) == MESSAGES or size + weight > BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += weight
    if batch:
        yield batch
