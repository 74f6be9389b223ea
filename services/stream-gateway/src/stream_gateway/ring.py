"""The recent frames of one session, encoded once, read by any number of cursors."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from stream_gateway.position import Position

MAX_FRAMES: Final = 512
MAX_BYTES: Final = 4 * 1024 * 1024
BATCH_BYTES: Final = 256 * 1024
PROCESS_BYTES: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as bytes.

    position  the head after it; None: not worth repeating to whoever resumes
    advances  whether it moved the head
    """

    data: bytes
    position: Position | None = None
    advances: bool = False


class Budget:
    """How many bytes all rings of the process may hold together."""

    def __init__(self, limit: int = PROCESS_BYTES) -> None:
        self.limit = limit
        self.used = 0

    @property
    def exceeded(self) -> bool:
        """Whether rings have to let go of frames."""
        return self.used > self.limit


class Ring:
    """Frames by number, the oldest dropped as new ones come. A cursor is the number of the frame to read next."""

    def __init__(self, budget: Budget, *, max_frames: int = MAX_FRAMES, max_bytes: int = MAX_BYTES) -> None:
        self._frames: deque[Frame] = deque()
        self._budget = budget
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._bytes = 0
        self._start = 0
        self._floor: Position | None = None
        self._floor_cursor = 0
        self._batch: tuple[int, int, bytes, int] | None = None

    @property
    def end(self) -> int:
        """The cursor of whoever has seen everything."""
        return self._start + len(self._frames)

    def holds(self, cursor: int) -> bool:
        """Whether nothing after `cursor` has been dropped."""
        return cursor >= self._start

    def append(self, frame: Frame) -> None:
        """Adds a frame; drops old ones, but never this one, until the bounds are kept."""
        self._frames.append(frame)
        self._bytes += len(frame.data)
        self._budget.used += len(frame.data)
        while len(self._frames) > 1 and (
            len(self._frames) > self._max_frames or self._bytes > self._max_bytes or self._budget.exceeded
        ):
            self._drop()

    def rebase(self, floor: Position) -> None:
        """Says that the log continues from `floor`: what is appended from now on follows it without a hole."""
        self._floor = floor
        self._floor_cursor = self.end

    def replay(self, after: Position) -> bytes | None:
        """What somebody at `after` has missed of the current log; None when that is no longer known here."""
        floor = self._floor
        if floor is None or after.epoch != floor.epoch or after.sequence < floor.sequence:
            return None
        return b"".join(
            frame.data
            for cursor, frame in enumerate(self._frames, self._start)
            if cursor >= self._floor_cursor
            and frame.position is not None
            and frame.position.epoch == after.epoch
            and (frame.position.sequence > after.sequence or (not frame.advances and frame.position == after))
        )

    def read(self, cursor: int) -> tuple[bytes, int]:
        """The frames from `cursor`, which it holds, up to a comfortable write; and the cursor after them.

        Viewers mostly stand at the same place, so the last answer is kept until `settle`.
        """
        if self._batch and self._batch[0] == cursor and self._batch[1] == self.end:
            return self._batch[2], self._batch[3]
        parts: list[bytes] = []
        size = 0
        index = cursor - self._start
        while index < len(self._frames) and (not parts or size + len(self._frames[index].data) <= BATCH_BYTES):
            parts.append(self._frames[index].data)
            size += len(parts[-1])
            index += 1
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._batch = (cursor, self.end, data, self._start + index)
        return data, self._start + index

    def settle(self) -> None:
        """Says that those who keep up have read everything."""
        self._batch = None

    def clear(self) -> None:
        """Lets go of everything."""
        self.settle()
        while self._frames:
            self._drop()

    def _drop(self) -> None:
        frame = self._frames.popleft()
        self._start += 1
        self._bytes -= len(frame.data)
        self._budget.used -= len(frame.data)
        floor = self._floor
        if frame.position and floor and self._start > self._floor_cursor and frame.position.epoch == floor.epoch:
            self._floor = floor.at(max(floor.sequence, frame.position.sequence))
