"""What one viewer has seen of one session, and whether that was everything, once."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Ledger:
    """Takes the stream's events in order. All counts are of faults, except `resets`.

    doubled  messages and chunks that came again
    missing  messages that were skipped
    torn     replies whose chunks are not what their message begins with
    resets   how often the history had to be loaded again
    """

    ids: list[str] = field(default_factory=list)
    doubled: int = 0
    missing: int = 0
    torn: int = 0
    resets: int = 0
    _loaded: int = 0
    _draft: str | None = None
    _text: str = ""
    _next: int = 0

    def take(self, event: dict[str, Any]) -> bool:
        """Notes one event; returns whether the history has to be loaded now."""
        payload: dict[str, Any] = event.get("payload") or {}
        match event["type"]:
            case "user" | "message":
                self._message(payload)
            case "complete":
                self._complete(payload)
            case "start":
                self._draft, self._text, self._next = payload["replyId"], "", 0
            case "snapshot":
                texts = [chunk for chunk in payload["chunks"] if isinstance(chunk, str)]
                self._draft, self._text, self._next = payload["replyId"], "".join(texts), payload["next"]
            case "chunk":
                self._chunk(payload)
            case "reset":
                self.resets += 1
                self._draft = None
                return True
        return False

    def load(self, messages: list[dict[str, Any]]) -> None:
        """The whole history, as read now, replaces what was seen."""
        self.ids = [message["id"] for message in messages]
        self._loaded = len(messages)

    def _message(self, message: dict[str, Any]) -> None:
        sequence = message["sequence"]
        if sequence <= len(self.ids):
            # What was on its way while the history was read is in it.
            self.doubled += sequence > self._loaded
            return
        self.missing += sequence - len(self.ids) - 1
        self.ids += ["?"] * (sequence - len(self.ids) - 1) + [message["id"]]
        if message["id"] == self._draft:
            self._draft = None

    def _complete(self, payload: dict[str, Any]) -> None:
        if "id" not in payload:
            self._draft = None
            return
        whole = payload.get("status", "complete") == "complete" and payload["id"] == self._draft
        # What comes with the end itself is no chunk of its own.
        self.torn += whole and not payload["content"].startswith(self._text)
        self._message(payload)

    def _chunk(self, payload: dict[str, Any]) -> None:
        if payload["replyId"] != self._draft:
            return
        self.doubled += payload["from"] < self._next
        self.torn += payload["from"] > self._next
        self._text += payload["content"]
        self._next = payload["to"]
