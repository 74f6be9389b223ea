"""Server-sent events as a browser reads them: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

import json
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One dispatched event. `id`: what the stream's last event id was at that moment."""

    data: str
    id: str

    def json(self) -> dict[str, Any]:
        """The data, parsed: a JSON object."""
        parsed: dict[str, Any] = json.loads(self.data)
        return parsed


class EventStream:
    """Takes bytes as they come, however they are cut, and gives events."""

    def __init__(self) -> None:
        self.last_id = ""
        self.retry: int | None = None
        self.comments = 0
        self._rest = b""
        self._data: list[str] = []
        self._id = ""

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Takes some bytes; returns the events that they complete."""
        events = []
        *lines, self._rest = re.split(rb"\r\n|\n|\r(?!$)", self._rest + chunk)
        for line in lines:
            event = self._line(line.decode())
            if event is not None:
                events.append(event)
        return events

    def _line(self, line: str) -> ServerEvent | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "":
                self.comments += 1
            case "data":
                self._data.append(value)
            case "id":
                self._id = value
            case "retry":
                self.retry = int(value)
        return None

    def _dispatch(self) -> ServerEvent | None:
        self.last_id = self._id
        if not self._data:
            return None
        event = ServerEvent("\n".join(self._data), self.last_id)
        self._data = []
        return event
