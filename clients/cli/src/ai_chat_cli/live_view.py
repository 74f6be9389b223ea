"""A watched session on a terminal: what others write, as they write it."""

from collections import deque
from collections.abc import Callable

from ai_chat_client import AiChatError
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api
from rich.text import Text

from ai_chat_cli.display import Display
from ai_chat_cli.live_reply import LiveReply
from ai_chat_cli.render import message_text

_SHOWN_AFTER_RESET = 10


class LiveView:
    """Turns the events of one watched session into what is shown.

    `width`: tells how many cells wide a line that is being written may be; None: any. Messages whose ids are in `own`
    are not shown: whoever wrote them has seen them.
    """

    def __init__(
        self, display: Display, *, width: Callable[[], int | None] | None = None, own: set[str] | None = None
    ) -> None:
        self._display = display
        self._width = width
        self._own = own if own is not None else set()
        self._reply: LiveReply | None = None
        self._after_reset: deque[model.Message] | None = None
        self._title: str | None = None
        self._is_lost = False
        self._handlers: dict[str, Callable[[api.WatchSessionResponse], None]] = {
            "messages": self._messages,
            "reply_started": self._reply_started,
            "reply_snapshot": self._reply_snapshot,
            "reply_chunk": self._reply_chunk,
            "reply_finished": self._reply_finished,
            "reset": self._reset,
            "caught_up": self._caught_up,
            "cleared": self._cleared,
            "truncated": self._truncated,
            "updated": self._updated,
            "deleted": self._deleted,
        }

    def see(self, event: api.WatchSessionResponse) -> None:
        """One event, in the order in which they come."""
        if self._is_lost:
            self._is_lost = False
            self._display.note("connected again")
        handler = self._handlers.get(event.WhichOneof("event") or "")
        if handler is not None:
            handler(event)

    def lost(self, error: AiChatError) -> None:
        """The connection broke, or another attempt to replace it failed: said once, until there is an event again."""
        if not self._is_lost:
            self._is_lost = True
            self._display.note(f"connection lost, trying again ({error.message})")

    def _messages(self, event: api.WatchSessionResponse) -> None:
        for message in event.messages.messages:
            if self._after_reset is not None:
                self._after_reset.append(message)
            else:
                self._message(message)

    def _message(self, message: model.Message) -> None:
        if message.id in self._own:
            self._own.discard(message.id)
        elif self._reply is not None and message.id == self._reply.id:
            self._end_reply(message)
        else:
            self._show(message)

    def _show(self, message: model.Message) -> None:
        if self._reply is not None:
            self._reply.give_way()
        self._display.show(Text.assemble(message_text(message), "\n"))

    def _reply_started(self, event: api.WatchSessionResponse) -> None:
        reply = event.reply_started.reply
        self._begin_reply(reply.id, reply.author, reply.model)

    def _reply_snapshot(self, event: api.WatchSessionResponse) -> None:
        snapshot = event.reply_snapshot
        if self._reply is not None and self._reply.id == snapshot.id:
            self._reply.replace(snapshot.chunks)
        else:
            self._begin_reply(snapshot.id, snapshot.author, snapshot.model).add(snapshot.chunks)

    def _reply_chunk(self, event: api.WatchSessionResponse) -> None:
        if self._reply is not None:
            self._reply.add(event.reply_chunk.chunks)

    def _reply_finished(self, event: api.WatchSessionResponse) -> None:
        finished = event.reply_finished
        message = finished.message if finished.HasField("message") else None
        if self._reply is not None:
            self._end_reply(message)
        elif message is not None:
            self._message(message)

    def _begin_reply(self, id_: str, author: str, model_name: str) -> LiveReply:
        if self._reply is not None:
            self._end_reply(None)
        self._reply = LiveReply(id_, author, model_name, self._display, self._width() if self._width else None)
        return self._reply

    def _end_reply(self, message: model.Message | None) -> None:
        if self._reply is not None:
            self._reply.end(message)
            self._reply = None

    def _reset(self, _: api.WatchSessionResponse) -> None:
        self._end_reply(None)
        self._after_reset = deque(maxlen=_SHOWN_AFTER_RESET)

    def _caught_up(self, _: api.WatchSessionResponse) -> None:
        if self._after_reset is None:
            return
        messages, self._after_reset = self._after_reset, None
        self._display.note(
            "the session was changed elsewhere; its last messages now:" if messages else "the session is empty now"
        )
        for message in messages:
            self._show(message)

    def _cleared(self, _: api.WatchSessionResponse) -> None:
        self._end_reply(None)
        self._display.note("all messages were removed")

    def _truncated(self, event: api.WatchSessionResponse) -> None:
        self._end_reply(None)
        self._display.note(f"the last messages were removed; {event.truncated.keep} are left")

    def _updated(self, event: api.WatchSessionResponse) -> None:
        title = event.updated.session.title
        if self._title is not None and title and title != self._title:
            self._display.note(f"the title is now: {title}")
        self._title = title

    def _deleted(self, _: api.WatchSessionResponse) -> None:
        self._end_reply(None)
        self._display.note("the session was deleted")
