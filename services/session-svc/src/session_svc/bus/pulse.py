"""Whether the other end of a connection is alive."""


class Pulse:
    """A ping every so often and an answer to it within a deadline. All times in seconds of one clock.

    What else arrives extends the deadline: the answer may stand behind a backlog.
    """

    def __init__(self, every: float, within: float, now: float) -> None:
        self._every = every
        self._within = within
        self._next = now
        self._unanswered: float | None = None
        self._heard = now

    def heard(self, now: float) -> None:
        """Something arrived."""
        self._heard = now

    def answered(self) -> None:
        """The answer to the ping arrived."""
        self._unanswered = None

    def ping_is_due(self, now: float) -> bool:
        """Whether to send a ping now; it then counts as sent."""
        if self._unanswered is not None or now < self._next:
            return False
        self._unanswered, self._next = now, now + self._every
        return True

    def is_gone(self, now: float) -> bool:
        """Whether the answer is overdue."""
        return self._unanswered is not None and now >= self._deadline(self._unanswered)

    def next_look(self) -> float:
        """When to ask again."""
        return self._next if self._unanswered is None else self._deadline(self._unanswered)

    def _deadline(self, sent: float) -> float:
        return max(sent, self._heard) + self._within
