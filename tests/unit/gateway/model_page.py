"""A web page as the contract describes it: it shows history and then events, and checks each that comes."""

import random
from dataclasses import dataclass, field
from typing import Any

from stream_gateway.http.stream import Wish, join
from stream_gateway.hub import Hub
from stream_gateway.joining import Start
from stream_gateway.position import ABSENT, Position, is_newer
from stream_gateway.tasks import Tasks
from stream_gateway.viewer import Viewer
from support.event_stream import EventStream
from support.viewer_socket import Socket
from unit.gateway.model import NAME, Piece, Said, Server


@dataclass
class Draft:
    """A reply as the page shows it: `doubted` from a new connection until it is heard of again."""

    pieces: list[Piece] = field(default_factory=list)
    next: int = 0
    doubted: bool = False

    @property
    def text(self) -> str:
        return "".join(piece for piece in self.pieces if isinstance(piece, str))


class Page:
    """Shows the session; what it finds wrong it adds to `failures`."""

    def __init__(self, server: Server, hub: Hub, tasks: Tasks, failures: list[BaseException]) -> None:
        self._failures = failures
        self._server = server
        self._hub = hub
        self._tasks = tasks
        self._viewer: Viewer | None = None
        self.socket = Socket()
        self.drafts: dict[str, Draft] = {}
        self._read()

    def _read(self) -> None:
        session = self._server.session
        self.at = self._server.head
        self.messages = list(session.messages) if session else []
        self._read_title()

    def _read_title(self) -> None:
        self.title = self._server.session.title if self._server.session else ""

    def open(self, start: Position | Start | None = None) -> None:
        """Connects where it is, or by `start`; ABSENT: as one that has seen nothing and asks for all."""
        if start is ABSENT:
            self.at, self.messages, self.drafts = ABSENT, [], {}
        for draft in self.drafts.values():
            draft.doubted = True
        decoder = EventStream()
        viewer = self._viewer = Viewer()

        def take(body: bytes) -> None:
            if self._viewer is viewer:
                self._take_all(decoder, body)

        self.socket = Socket(take)
        self.socket.viewer = viewer
        self._hub.enter(viewer)
        self._tasks.spawn(self._join(viewer, self.at if start is None else start))

    async def _join(self, viewer: Viewer, start: Position | Start) -> None:
        try:
            await join(self._hub, viewer, Wish(NAME, start), lambda first: self._begin(viewer, first))
        except BaseException as error:
            self._failures.append(error)
            raise

    def _begin(self, viewer: Viewer, first: bytes) -> None:
        self._read_title()
        viewer.open(self.socket, b"HTTP/1.1 200 OK\r\n\r\n", first)

    @property
    def is_there(self) -> bool:
        """Whether it is connected, or about to be."""
        return self._viewer is not None and not self.socket.is_closing()

    def close(self) -> None:
        """Loses the connection; what was seen stays."""
        viewer, self._viewer = self._viewer, None
        if viewer is not None:
            viewer.disconnect()
            viewer.end()

    def stall(self, dice: random.Random) -> None:
        """Stops reading, or reads on."""
        if dice.random() < 0.5:
            self.socket.fill()
        else:
            self.socket.drain()

    def _take_all(self, decoder: EventStream, body: bytes) -> None:
        for event in decoder.feed(body):
            try:
                self._take(event.json(), event.id)
            except AssertionError as failure:
                self._failures.append(failure)

    def _take(self, event: dict[str, Any], event_id: str) -> None:
        handlers = {
            "user": self._message,
            "message": self._message,
            "complete": self._complete,
            "clear": self._shorten,
            "truncate": self._shorten,
            "deleted": self._deleted,
            "reset": self._reset,
            "updated": self._updated,
            "start": self._start,
            "snapshot": self._snapshot,
            "chunk": self._chunk,
            "part": self._chunk,
        }
        if event["type"] in handlers:
            handlers[event["type"]](event["payload"], Position.parse(event.get("position") or "") or ABSENT)
        if event["type"] in ("user", "message", "clear", "truncate", "deleted"):
            told = Position.parse(event_id)
            assert told is not None
            assert self._knows(told) or self._reloaded

    def _knows(self, position: Position) -> bool:
        """Whether what it has read is that of `position` or newer."""
        if self.at.epoch == position.epoch:
            return position.sequence <= self.at.sequence
        return position.is_absent or is_newer(self.at.epoch, position.epoch)

    def _message(self, payload: dict[str, Any], position: Position) -> None:
        self.drafts.pop(payload["id"], None)
        if self._reloaded and self._knows(position):
            return
        expected = self.at.sequence + 1 if self.at.epoch else 1
        follows = position.sequence == expected and (position.epoch == self.at.epoch or self.at.is_absent)
        if self._reloaded and not follows:
            self._read()
            return
        assert follows, f"message {position} came at {self.at}"
        self.messages.append(Said(payload["id"], payload["content"]))
        self.at = position

    def _complete(self, payload: dict[str, Any], position: Position) -> None:
        draft = self.drafts.pop(payload["replyId"], None)
        if "sequence" not in payload:
            return
        if draft is not None and not draft.doubted:
            # Where chunks were lost with it, the message is all that comes.
            assert payload["content"].startswith(draft.text), f"{draft} became {payload}"
        self._message(payload, position)

    def _shorten(self, payload: dict[str, Any], position: Position) -> None:
        if self._reloaded and self._knows(position):
            return
        self.drafts.clear()
        keep = payload.get("keep", 0)
        if self._reloaded and keep > len(self.messages):
            self._read()
            return
        assert keep <= len(self.messages), f"{keep} messages cannot be kept of {len(self.messages)}"
        self.messages, self.at = self.messages[:keep], position

    def _deleted(self, payload: dict[str, Any], position: Position) -> None:
        del payload, position
        self.messages, self.title, self.at, self.drafts = [], "", ABSENT, {}

    _reloaded = False
    """Whether history was read while events were on their way: what does not fit it is known, or has it read again."""

    def _reset(self, payload: dict[str, Any], position: Position) -> None:
        del payload
        self._reloaded = True
        self.drafts.clear()
        if position.is_absent:
            self.messages, self.title, self.at = [], "", ABSENT
        else:
            self._read()

    def _updated(self, payload: dict[str, Any], position: Position) -> None:
        del position
        self.title = payload.get("title", "")

    def _has(self, reply_id: str) -> bool:
        return any(said.id == reply_id for said in self.messages)

    def _start(self, payload: dict[str, Any], position: Position) -> None:
        del position
        if not self._has(payload["replyId"]):
            assert payload["replyId"] not in self.drafts, f"{payload} came twice"
            self.drafts[payload["replyId"]] = Draft()

    def _snapshot(self, payload: dict[str, Any], position: Position) -> None:
        del position
        pieces: list[Piece] = []
        for chunk in payload["chunks"]:
            _push(pieces, chunk if isinstance(chunk, str) else (chunk["type"], chunk["data"]["n"]))
        assert (payload["author"], payload["model"]) == ("a", "m")
        if not self._has(payload["replyId"]):
            self.drafts[payload["replyId"]] = Draft(pieces, payload["next"])

    def _chunk(self, payload: dict[str, Any], position: Position) -> None:
        del position
        reply_id = payload["replyId"]
        if self._has(reply_id):
            return
        assert reply_id in self.drafts, f"{payload} is of a reply that was not told"
        draft = self.drafts[reply_id]
        assert payload["from"] == draft.next, f"{payload} came at {draft.next}"
        _push(draft.pieces, payload["content"] if "content" in payload else (payload["type"], payload["data"]["n"]))
        draft.next = payload["to"]

    def __repr__(self) -> str:
        return f"Page(at={self.at}, messages={self.messages}, drafts={self.drafts}, title={self.title!r})"

    @property
    def agrees(self) -> bool:
        """Whether it shows what there is."""
        session, head = self._server.session, self._server.head
        # Before the first message of an empty session is where one is that has seen nothing of it.
        is_there = self.at == head or (self.at.is_absent and head.sequence == 0)
        there = [said.content for said in session.messages] if session else []
        return is_there and [said.content for said in self.messages] == there and self._shows_the_reply

    @property
    def _shows_the_reply(self) -> bool:
        session = self._server.session
        if session is not None and self.title != session.title:
            return False
        shown = {name: draft for name, draft in self.drafts.items() if not draft.doubted}
        if session is None or session.reply is None:
            return not shown
        pieces: list[Piece] = []
        for chunk in session.reply.chunks:
            _push(pieces, chunk)
        draft = shown.pop(session.reply.id, None)
        return draft is not None and not shown and (draft.pieces, draft.next) == (pieces, len(session.reply.chunks))


def _push(pieces: list[Piece], piece: Piece) -> None:
    """Adds a piece; neighbouring texts are one."""
    if pieces and isinstance(piece, str) and isinstance(last := pieces[-1], str):
        pieces[-1] = last + piece
    else:
        pieces.append(piece)
