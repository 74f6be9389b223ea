"""The ports of storage. Their docstrings are the contract; tests/contract proves it of every adapter.

Rules for every method:
- It is one atomic step: all of it happened, or none and an error says why.
- It first compares the log with what was last known of it, because chat.ai's programs may share the
  store. Grown: the new messages are announced as events. Anything else: a new epoch, and `Reset`.
  This happens in reads too.
- Every write restarts the expiry of the whole session (its own ttl, else the default, else none); reads do not.
- Every write publishes its events on the bus in the same step and in order: first the session's, each
  with the head after it, then one change to the list of sessions.
- A session that is past its expiry does not exist.
- `name` is any text for which `names.may_exist` holds; only a step that finds the session missing and
  would create it applies `names.is_creatable`.

Errors of every method, besides those it names: StoreUnavailable (a write may or may not have happened),
UnusableData (nothing was written).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from session_svc.domain.message import Message, NewMessage
from session_svc.domain.position import Position
from session_svc.domain.reply import Chunk, ReplyEnd, ReplyLease, ReplyStart
from session_svc.domain.session import (
    Activity,
    Appended,
    MessagePage,
    NewSession,
    Session,
    SessionChange,
    SessionPage,
    Snapshot,
    Truncated,
)

EMPTY = ""
"""The expected position of a session that has no messages."""

Expected = Position | str | None
"""What a writer expects of the head: a position, EMPTY for "has no messages", None for anything."""


@dataclass(frozen=True, slots=True)
class Append:
    """One append.

    messages     1 to 1000, each with an id
    request_id   empty: none
    fingerprint  identifies the body as the caller sent it, before ids were generated; any text without
                 white space, not empty where there is a request id; compared when that is repeated
    owner        who owns the session if this step creates it
    """

    session: str
    messages: Sequence[NewMessage]
    request_id: str = ""
    fingerprint: str = ""
    expected: Expected = None
    require_existing: bool = False
    owner: str = ""


class MessageHistory(ABC):
    """The messages of sessions, in order."""

    @abstractmethod
    async def append(self, append: Append) -> Appended:
        """Adds messages to the end, in order; creates the session unless `require_existing`.

        Looks the request id up first, before `expected`: if it is known with the same fingerprint, the first
        answer's receipts and position are returned with the session as it is, and nothing changes. Request
        ids survive a clear, end with a delete, and are remembered for at least a day.
        Sets title (when there is none: first line of the first USER message, cut at 60 characters),
        awaiting_reply (the last message is USER, or it was set and no ASSISTANT came), last_role, preview, activity.

        Raises RequestIdReused, RateLimited (10,000 request ids a session and day), SessionNotFound
        (require_existing), InvalidName (would create), PositionConflict.
        """

    @abstractmethod
    async def page(
        self, name: str, *, start: int, limit: int, newest_first: bool, epoch: str | None = None
    ) -> MessagePage:
        """Reads up to `limit` messages from sequence `start` on, upwards, or downwards with `newest_first`.

        `start` is from 1; with newest_first 0 means the head. Fewer may come back, at least one if there is
        any, where together they exceed about 3 MiB; `more` is then true.

        Raises SessionNotFound; PositionConflict when `epoch` is given and is not the session's, or `start` is more
        than 1 beyond the head.
        """

    @abstractmethod
    async def snapshot(self, name: str, *, tail: int) -> Snapshot:
        """Reads the session and its newest `tail` messages, fewer where together they exceed about 3 MiB.

        Raises SessionNotFound.
        """

    @abstractmethod
    async def clear(self, name: str, *, expected: Expected = None) -> Session:
        """Removes every message and begins a new epoch; title, owner, labels and ttl stay; counts as activity.

        An automatic title stays too. Raises SessionNotFound, PositionConflict.
        """

    @abstractmethod
    async def truncate(
        self, name: str, *, keep: int | None = None, remove_last: int | None = None, expected: Expected = None
    ) -> Truncated:
        """Removes the messages after the first `keep`, or the last `remove_last`.

        Begins a new epoch when it removes any, which is no activity; changes nothing when there is nothing to
        remove. `removed` holds the newest of them that fit into about 3 MiB, at most 1000, oldest first.
        Afterwards awaiting_reply is true if and only if the last message left is USER.
        Raises SessionNotFound, PositionConflict.
        """


class SessionStore(ABC):
    """The sessions themselves: what is known of them, the list by activity, and their expiry."""

    @abstractmethod
    async def create(self, name: str, new: NewSession, *, allow_existing: bool) -> Session:
        """Creates a session without messages.

        If it exists and `allow_existing`: returns it as it is, its expiry restarted, and changes nothing else.
        Raises SessionExists, InvalidName.
        """

    @abstractmethod
    async def get(self, name: str) -> Session:
        """Reads one session. Raises SessionNotFound."""

    @abstractmethod
    async def page(self, *, after: Activity | None, limit: int) -> SessionPage:
        """Reads up to `limit` (at most 100) sessions in descending order of (activity, name), those after `after`.

        Costs the same however many sessions there are. May hold fewer while `next` is set. Sessions whose
        data is unusable are left out.
        """

    @abstractmethod
    async def update(self, name: str, change: SessionChange) -> Session:
        """Changes title, ttl or labels; no activity. An empty title goes back to the automatic one.

        Raises SessionNotFound.
        """

    @abstractmethod
    async def delete(self, name: str, *, expected: Expected = None) -> None:
        """Removes every trace of the session, request ids included. Raises SessionNotFound, PositionConflict."""

    @abstractmethod
    async def settle_due(self) -> None:
        """Drops the sessions that have expired and announces them as deleted, each once whoever comes first.

        Called at least every 500 ms.
        """

    @abstractmethod
    async def adopt(self) -> int | None:
        """Lists the sessions that other programs left in the store unlisted; returns how many.

        On one replica at a time and in small steps; None where another replica is at it, or has taken over.
        """

    @abstractmethod
    async def is_listed(self) -> bool:
        """Whether there is a list of sessions; without one `adopt` comes before the first answer.

        Not while any replica is making the first list: it is not whole.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Returns when the store answers; raises StoreUnavailable."""


class ReplyBuffer(ABC):
    """Replies while they are written: one slot a session, fenced, leased, its chunks in order.

    A reply ends exactly once: by its writer, by `stop`, by the end of its lease (found by `settle_due`), by exceeding
    its size, or with the messages of its session. How it ended is remembered as long as a request id. While there is
    one, its session does not expire. `clear`, `truncate` and `delete` end it without a message.
    """

    @abstractmethod
    async def start(self, start: ReplyStart) -> ReplyLease | ReplyEnd:
        """Takes the slot and stores the user's turn in one step; or resumes a reply of the writer's own.

        The same reply_id and writer_key, while the lease lasts, give a new lease on what is stored and end the old
        one; after the end they give that end again.
        Raises ReplyInProgress, SessionNotFound (no session and no messages), InvalidName, PositionConflict; and what
        `write` raises, for a reply of the writer's own that ended badly.
        """

    @abstractmethod
    async def write(self, lease: ReplyLease, accepted: int, chunks: Sequence[Chunk]) -> int:
        """Adds chunks and renews the lease; without chunks only renews it. Returns how many frames are stored.

        `accepted` is how many were stored before these: a repetition changes nothing.
        Raises ReplyStopped; ReplyLost; TooLarge, when these chunks would exceed 1 MiB of text or 2 MiB in all: the
        reply has then ended without the first of them that did.
        """

    @abstractmethod
    async def finish(self, lease: ReplyLease, *, attributes: str, messages: Sequence[NewMessage]) -> ReplyEnd:
        """Ends the reply as a COMPLETE message of its text; or stores `messages` instead, when there are any.

        `attributes` empty: {"parts": [...]} if there were any parts. A repetition returns the same end.
        Raises what `write` raises.
        """

    @abstractmethod
    async def fail(self, lease: ReplyLease, *, reason: str, attributes: str) -> ReplyEnd:
        """Ends the reply as a FAILED message, even when nothing was said. Raises what `write` raises."""

    @abstractmethod
    async def stop(self, name: str, reply_id: str) -> Message | None:
        """Ends the reply in progress as INTERRUPTED; None when nothing had been said. `reply_id` empty: whichever.

        Raises SessionNotFound, ReplyNotFound.
        """
