"""What is known of one session's log, and whether an event is the next one of it."""

from stream_gateway.events import REPLY_KINDS, Event, Kind
from stream_gateway.position import ABSENT, Position, is_newer
from stream_gateway.verdict import Verdict


class Log:
    """Where a session's log is. Events of it go by `judge`, then `advance`."""

    def __init__(self, head: Position) -> None:
        self.head = head
        self._last_epoch = head.epoch

    def judge(self, event: Event) -> Verdict:
        """Says whether `event`, one of ours, comes next."""
        position = event.position
        if position is None or (position.epoch != self.head.epoch and not is_newer(position.epoch, self._last_epoch)):
            return Verdict.KNOWN
        if event.extension is not None:
            return self._judge_remark(event.kind, position)
        match event.kind:
            case Kind.MESSAGE:
                return self._judge_message(position)
            case Kind.NEW_LOG:
                return self._judge_new_log(event, position)
            case Kind.DELETED:
                return Verdict.KNOWN if self.head.is_absent else Verdict.NEXT
            case _:
                return self._judge_remark(event.kind, position)

    def _judge_message(self, position: Position) -> Verdict:
        if position.epoch == self.head.epoch:
            ahead = position.sequence - self.head.sequence
        else:
            ahead = position.sequence if self.head.is_absent else 2
        return Verdict.KNOWN if ahead < 1 else Verdict.NEXT if ahead == 1 else Verdict.HOLE

    def _judge_new_log(self, event: Event, position: Position) -> Verdict:
        if position.epoch == self.head.epoch:
            # More than can be announced one by one was appended behind our back: the same log, further on.
            return Verdict.NEXT if position.sequence > self.head.sequence else Verdict.KNOWN
        if event.keep is not None and (self.head.is_absent or event.keep > self.head.sequence):
            return Verdict.HOLE
        return Verdict.NEXT

    def _judge_remark(self, kind: Kind, position: Position) -> Verdict:
        if position.epoch == self.head.epoch:
            if position.sequence == self.head.sequence:
                return Verdict.NEXT
            if position.sequence > self.head.sequence:
                return Verdict.HOLE
            # Said of a reply before something that has been read since, with all that came of it.
            return Verdict.KNOWN if kind in REPLY_KINDS else Verdict.NEXT
        return Verdict.NEXT if self.head.is_absent and position.sequence == 0 else Verdict.HOLE

    def advance(self, event: Event) -> None:
        """Takes an event in that was judged NEXT; or KNOWN, which may still say that a log is over."""
        position = event.position
        if position is None or (position.epoch != self.head.epoch and not is_newer(position.epoch, self._last_epoch)):
            return
        if event.kind is Kind.DELETED:
            self.move(ABSENT)
            self._last_epoch = position.epoch
        elif position.epoch != self.head.epoch or position.sequence > self.head.sequence:
            self.move(position)

    def move(self, head: Position) -> None:
        """Sets the head, as read from session-svc."""
        self.head = head
        if not head.is_absent:
            self._last_epoch = head.epoch

    def supersedes(self, position: Position) -> bool:
        """Whether `position`, just read, is of a log older than what is known."""
        return (
            not position.is_absent
            and position.epoch != self.head.epoch
            and not is_newer(position.epoch, self._last_epoch)
        )
