"""One session as it is told: its log and the reply being written, and the frames of both in a ring."""

from collections.abc import Callable
from enum import Enum, auto

from stream_gateway import frames
from stream_gateway.budget import Budget
from stream_gateway.events import Event, Kind, fingerprint
from stream_gateway.frames import Frame
from stream_gateway.history import Message, Snapshot
from stream_gateway.log import Log
from stream_gateway.position import ABSENT, Position
from stream_gateway.reply import Extension, LiveReply, Told
from stream_gateway.ring import Ring
from stream_gateway.verdict import Verdict


class Urgency(Enum):
    """How soon viewers must be told."""

    NOW = auto()
    SOON = auto()
    """With what comes within the next moment: the later chunks of a reply."""


class Feed:
    """What happens in one session, in order and without holes, from the moment that it `is_known`.

    Judges events and publishes those that come next; where something is missing says so, and is then brought to what
    was read from session-svc. `news` is called after frames were added to the ring.
    """

    def __init__(self, budget: Budget, news: Callable[[Urgency], None]) -> None:
        self.ring = Ring(budget, self.summary)
        self.reply: LiveReply | None = None
        self.beginning = ABSENT
        """Where it was known first: whoever came before that, and wants what is new, wants what came after."""
        self.joining = 0
        """How many viewers are being brought here, who will need the text of the reply."""
        self.forgotten: Callable[[], None] = lambda: None
        """Called when the session has to be read again, because the text of the reply is wanted and was let go of."""
        self._budget = budget
        self._news = news
        self._log: Log | None = None
        self._fingerprint = fingerprint()
        self._so_far: tuple[tuple[LiveReply, int, Position], bytes] | None = None

    @property
    def is_known(self) -> bool:
        """Whether the head is known."""
        return self._log is not None

    @property
    def head(self) -> Position:
        """The position of the last message published, once it is known."""
        return self._known_log.head

    def summary(self) -> bytes:
        """Tells a viewer to forget what it has, where the head is, and what has been said of the reply."""
        return frames.reset(self.head).data + self.reply_so_far()

    def reply_so_far(self) -> bytes:
        """Tells what has been said of the reply that is being written; nothing, when there is none.

        Where its text was let go of, the reply counts as unheard of from now on, and is read again.
        """
        self._forget_unheld()
        if self.reply is None:
            return b""
        state = (self.reply, self.reply.next, self.head)
        if self._so_far is None or self._so_far[0] != state:
            self._so_far = (state, frames.snapshot(self.reply, self.head).data)
        return self._so_far[1]

    def close(self) -> None:
        """Lets go of everything."""
        self._drop_reply()
        self.ring.clear()

    # Events

    def take(self, event: Event) -> bool:
        """Publishes an event of ours if it is next. False: something before it was missed."""
        log = self._known_log
        verdict = log.judge(event)
        if verdict is Verdict.NEXT:
            verdict = self._judge_reply(event)
        if verdict is Verdict.HOLE:
            return False
        if verdict is Verdict.KNOWN:
            log.advance(event)
            return True
        if event.extension is not None:
            self._extend(event, event.extension)
            return True
        if log.head.is_absent and event.position:
            self.ring.rebase(event.position.at(0))
        if event.kind in (Kind.NEW_LOG, Kind.DELETED) and event.position and event.position.epoch != log.head.epoch:
            self._end_reply()
        log.advance(event)
        self._publish_event(event, log.head)
        return True

    def pass_on(self, frame: Frame) -> None:
        """Publishes what is no event of ours."""
        self._publish(frame)

    def _judge_reply(self, event: Event) -> Verdict:
        reply = self.reply
        if event.extension is not None:
            return Verdict.HOLE if reply is None or reply.id != event.reply_id else reply.judge(event.extension)
        match event.kind:
            case Kind.REPLY_BEGUN:
                if reply is None:
                    return Verdict.NEXT
                return Verdict.KNOWN if reply.id == event.reply_id else Verdict.HOLE
            case Kind.REPLY_TOLD if event.told:
                told = reply is not None and (reply.id, reply.next) == (event.reply_id, event.told.next)
                return Verdict.KNOWN if told else Verdict.NEXT
            case Kind.REPLY_ENDED:
                return Verdict.NEXT if reply is not None and reply.id == event.reply_id else Verdict.KNOWN
            case _:
                return Verdict.NEXT

    def _publish_event(self, event: Event, head: Position) -> None:
        frame = frames.of_event(event, head)
        match event.kind:
            case Kind.MESSAGE:
                self._become(event.reply_id)
                self._publish(frame)
            case Kind.NEW_LOG:
                self._publish(frame)
                self.ring.rebase(head)
                self._publish_reply()
            case Kind.DELETED:
                self._fingerprint = fingerprint()
                self._publish(frame)
                self.ring.rebase(head)
            case Kind.UPDATED:
                self._fingerprint = event.fingerprint or self._fingerprint
                self._publish(frame)
            case Kind.REPLY_BEGUN if event.beginning:
                self.reply = LiveReply(Told(event.beginning, (), 0), self._budget)
                self._publish(frame)
            case Kind.REPLY_TOLD if event.told:
                self._tell_reply(event.told)
            case Kind.REPLY_ENDED:
                self._drop_reply()
                self._publish(frame)
            case _:
                self._publish(frame)

    def _extend(self, event: Event, extension: Extension) -> None:
        if self.reply is None:
            return
        self.reply.extend(extension)
        self._so_far = None
        if self._budget.exceeded and not self.joining:
            self.reply.let_go()
        frame = frames.of_extension(event.data, extension, self.head)
        self._publish(frame, urgency=Urgency.NOW if extension.first == 0 else Urgency.SOON)

    # What was read

    def begin(self, at: Position, snapshot: Snapshot) -> None:
        """Starts at a position of the session that was read."""
        self._log = Log(at)
        self.beginning = at
        self._fingerprint = snapshot.fingerprint
        self.ring.rebase(at)

    def is_stale(self, snapshot: Snapshot) -> bool:
        """Whether the session was read as it was before something that is known."""
        return self._known_log.supersedes(snapshot.head)

    def vanish(self) -> None:
        """The session is gone."""
        log = self._known_log
        if not log.head.is_absent:
            self._end_reply()
            self._publish(frames.deleted(log.head))
            log.move(ABSENT)
            self.ring.rebase(ABSENT)
            self._fingerprint = fingerprint()

    def found(self, head: Position) -> None:
        """Takes note that the session which was absent is there."""
        if not self.head.is_absent:
            return
        self._known_log.move(head.at(0))
        if head.sequence == 0:
            # Nothing will be told of it, and somebody may have read what was in a log between.
            self._publish(frames.reset(head))
        self.ring.rebase(self.head)

    def jump(self, head: Position) -> None:
        """Goes on at `head`, where what lies between cannot be told, or is too much."""
        if head.epoch != self.head.epoch:
            self._end_reply()
        self._known_log.move(head)
        self._publish(frames.reset(head))
        self.ring.rebase(head)

    def append(self, message: Message) -> None:
        """Publishes a message that was missed."""
        self._known_log.move(message.position)
        ends = self.reply is not None and self.reply.id == message.id
        self._become(message.id)
        self._publish(message.as_end() if ends else message.frame)

    def describe(self, snapshot: Snapshot) -> None:
        """Publishes the session's description if a change of it was missed."""
        if snapshot.updated and snapshot.fingerprint != self._fingerprint:
            self._fingerprint = snapshot.fingerprint
            self._publish(snapshot.updated)

    def settle_reply(self, told: Told | None, *, again: bool = False) -> None:
        """Brings the reply to where it was read; `again`: viewers have been told to forget what they had."""
        if told is None:
            self._end_reply()
        elif self.reply is None or (self.reply.id, self.reply.next) != (told.beginning.reply_id, told.next):
            self._tell_reply(told)
        elif not self.reply.is_held:
            self._drop_reply()
            self.reply = LiveReply(told, self._budget)
        elif again:
            self._publish_reply()

    def _tell_reply(self, told: Told) -> None:
        if self.reply is not None and self.reply.id != told.beginning.reply_id:
            self._end_reply()
        self._drop_reply()
        self.reply = LiveReply(told, self._budget)
        self._publish_reply()

    # Publishing

    @property
    def _known_log(self) -> Log:
        if self._log is None:
            raise RuntimeError("the head is not known yet")
        return self._log

    def _publish(self, frame: Frame, *, urgency: Urgency = Urgency.NOW) -> None:
        self.ring.append(frame)
        self._news(urgency)

    def _publish_reply(self) -> None:
        self._forget_unheld()
        if self.reply is not None:
            self._publish(frames.snapshot(self.reply, self.head))

    def _end_reply(self) -> None:
        """Tells that the reply in progress is over, and that nothing came of it, or nothing that was heard of."""
        if self.reply is not None:
            reply_id = self.reply.id
            self._drop_reply()
            self._publish(frames.ended(reply_id, self.head))

    def _become(self, message_id: str) -> None:
        """Lets go of the reply when this message is what has become of it."""
        if self.reply is not None and self.reply.id == message_id:
            self._drop_reply()

    def _forget_unheld(self) -> None:
        if self.reply is not None and not self.reply.is_held:
            self._drop_reply()
            self.forgotten()

    def _drop_reply(self) -> None:
        if self.reply is not None:
            self.reply.release()
            self.reply = self._so_far = None
