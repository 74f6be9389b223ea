"""The recent frames of one session, encoded once, read by any number of cursors."""

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from stream_gateway import wire
from stream_gateway.budget import Budget
from stream_gateway.frames import Frame, merged
from stream_gateway.position import Position

MAX_FRAMES: Final = 2048
MAX_BYTES: Final = 4 * 1024 * 1024
BATCH_BYTES: Final = 64 * 1024
FRAME_OVERHEAD_BYTES: Final = 256
MAX_BATCHES: Final = 16


class Batch(NamedTuple):
    """Frames to write, and the cursor after them.

    They are one HTTP chunk; but a single frame that is too large for a comfortable write is its own bytes alone.
    """

    data: bytes
    end: int
    is_chunk: bool = True


class Ring:
    """Frames by number, the oldest dropped as new ones come. A cursor is the number of the frame to read next.

    `summary()`: what to tell whoever missed frames that were dropped, before it goes on at the end.
    """

    def __init__(
        self,
        budget: Budget,
        summary: Callable[[], bytes],
        *,
        max_frames: int = MAX_FRAMES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.summary = summary
        self._frames: deque[Frame] = deque()
        self._budget = budget
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._bytes = 0
        self._floor: Position | None = None
        self._floor_cursor = 0
        self._batches: dict[int, Batch] = {}
        self._unsettled_bytes = 0
        self.start = 0
        """The first cursor after which nothing has been dropped."""
        self.end = 0
        """The cursor of whoever has seen everything."""

    @property
    def is_pressing(self) -> bool:
        """Whether so much came since it was settled that even those who keep up might miss what will be dropped."""
        return self._unsettled_bytes > self._max_bytes // 4

    def append(self, frame: Frame) -> None:
        """Adds a frame; drops old ones, but never this one, until the bounds are kept."""
        self._frames.append(frame)
        self.end += 1
        size = _size(frame)
        self._bytes += size
        self._budget.used += size
        self._unsettled_bytes += max(size, self._max_bytes // self._max_frames)
        self._batches.clear()
        while len(self._frames) > 1 and (
            len(self._frames) > self._max_frames or self._bytes > self._max_bytes or self._budget.exceeded
        ):
            self._drop()

    def rebase(self, floor: Position) -> None:
        """Says that the log continues from `floor`: what is appended from now on follows it without a hole."""
        self._floor = floor
        self._floor_cursor = self.end

    def replay(self, after: Position) -> tuple[bytes, ...] | None:
        """What somebody at `after` has missed of the current log; None when that is no longer known here."""
        floor = self._floor
        if floor is None or after.epoch != floor.epoch or after.sequence < floor.sequence:
            return None
        return tuple(
            frame.data
            for cursor, frame in enumerate(self._frames, self.start)
            if cursor >= self._floor_cursor
            and frame.position is not None
            and frame.position.epoch == after.epoch
            and (frame.position.sequence > after.sequence or (not frame.advances and frame.position == after))
        )

    def read(self, cursor: int) -> Batch:
        """The frames from `cursor`, not before `start`, up to a comfortable write.

        Texts of one reply that follow one another come merged. Viewers mostly stand at the same place, so answers are
        kept until `settle`.
        """
        batch = self._batches.get(cursor)
        if batch is None:
            batch = self._read(cursor)
            if len(self._batches) < MAX_BATCHES:
                self._batches[cursor] = batch
        return batch

    def settle(self) -> None:
        """Says that those who keep up have read everything."""
        self._unsettled_bytes = 0
        self._batches.clear()

    def clear(self) -> None:
        """Lets go of everything."""
        self.settle()
        while self._frames:
            self._drop()

    def _read(self, cursor: int) -> Batch:
        first = self._frames[cursor - self.end]
        if len(first.data) > BATCH_BYTES:
            return Batch(first.data, cursor + 1, is_chunk=False)
        if cursor == self.end - 1:
            return Batch(wire.chunk(first.data), self.end)
        runs: list[list[Frame]] = []
        size = 0
        for ahead in range(cursor - self.end, 0):
            frame = self._frames[ahead]  # From the end, where nearly everybody is: from the start it is far.
            if size + len(frame.data) > BATCH_BYTES:
                break
            size += len(frame.data)
            cursor += 1
            if runs and frame.continues(runs[-1][-1]):
                runs[-1].append(frame)
            else:
                runs.append([frame])
        return Batch(wire.chunk(b"".join(map(merged, runs))), cursor)

    def _drop(self) -> None:
        frame = self._frames.popleft()
        self.start += 1
        size = _size(frame)
        self._bytes -= size
        self._budget.used -= size
        floor = self._floor
        if frame.position and floor and self.start > self._floor_cursor and frame.position.epoch == floor.epoch:
            self._floor = floor.at(max(floor.sequence, frame.position.sequence))


def _size(frame: Frame) -> int:
    """What a frame costs, roughly: text that may be merged is held twice."""
    extension = frame.extension
    text = len(extension.piece) if extension is not None and isinstance(extension.piece, str) else 0
    return FRAME_OVERHEAD_BYTES + len(frame.data) + text
