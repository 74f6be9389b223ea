"""What one viewer was told of one session in one run: each event once, or it is counted as missing or doubled."""

from bench.fanout.marks import Marks


class Ledger:
    """Keeps the books of one viewer.

    `expected`: how many events there are to be told; they bear the sequences from 0.
    """

    __slots__ = ("_holes", "doubled", "expected", "next")

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.next = 0
        """The sequence after the greatest that was told."""
        self.doubled = 0
        """How often an event was told that had been told before."""
        self._holes: set[int] = set()

    @property
    def missing(self) -> int:
        """How many events have not been told."""
        return len(self._holes) + max(0, self.expected - self.next)

    @property
    def told(self) -> int:
        """How many different events have been told."""
        return self.next - len(self._holes)

    @property
    def is_complete(self) -> bool:
        """Whether every event has been told."""
        return self.next >= self.expected and not self._holes

    def take(self, marks: Marks) -> None:
        """Enters what was told."""
        if marks.whole:
            self.next = 0
            self._holes.clear()
        if marks.first == self.next and marks.is_row:
            self.next += len(marks.sequences)
            return
        for sequence in marks.sequences:
            if sequence >= self.next:
                self._holes.update(range(self.next, sequence))
                self.next = sequence + 1
            elif sequence in self._holes:
                self._holes.remove(sequence)
            else:
                self.doubled += 1
