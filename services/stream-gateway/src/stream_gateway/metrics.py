"""What the gateway counts; see METRICS_LISTEN."""

from collections import Counter as Counts

from prometheus_client import Counter, Gauge, Histogram

VIEWERS = Gauge("gateway_viewers", "Open streams")
TOKENS = Gauge("gateway_tokens", "Distinct tokens whose viewers are here, or were a moment ago")
FOLLOWED = Gauge("gateway_followed_sessions", "Sessions that are followed, with or without viewers")
SUBSCRIPTIONS = Gauge("gateway_subscriptions", "Live subscriptions at the source of events")
SOURCE_UP = Gauge("gateway_source_up", "Whether a source is within reach", ["source"])
EVENTS_IN = Counter("gateway_events_received", "Events received from the source", ["type"])
EVENTS_BAD = Counter("gateway_events_discarded", "Events that could not be read, or did not fit the session's log")
FRAMES_OUT = Counter("gateway_frames_delivered", "Frames handed to viewers, one for each viewer")
BYTES_OUT = Counter("gateway_stream_bytes", "Bytes written to viewers")
SLOW_WRITES = Counter("gateway_slow_writes", "Writes that had to wait for a viewer's socket")
FALLEN_BEHIND = Counter("gateway_viewers_fallen_behind", "Viewers that were reset because they read too slowly")
STUCK = Counter("gateway_viewers_dropped", "Viewers disconnected because they took nothing for too long")
RELIEVED = Counter("gateway_viewers_let_go", "Slow viewers disconnected because too much waited for all of them")
OWED_BYTES = Gauge("gateway_owed_bytes", "Bytes that wait in this process for viewers")
REFUSED = Counter("gateway_viewers_refused", "Streams refused", ["reason"])
REPAIRS = Counter("gateway_repairs", "Times that a session was read again because events may have been missed")
FETCHES = Counter("gateway_fetches", "Calls made to session-svc for the streams", ["call"])
CONNECTIONS_REFUSED = Counter("gateway_connections_refused", "Connections dropped at once because there were too many")
REQUESTS = Counter("gateway_http_requests", "Requests answered", ["method", "route", "status"])
REQUESTS_REFUSED = Counter("gateway_http_requests_refused", "Requests refused because there was no memory to spare")
SECONDS = Histogram("gateway_http_request_seconds", "Time to answer a request, streams left out", ["route"])


class Tally:
    """Counts what is too frequent to count one by one; `publish` adds it to the metrics."""

    def __init__(self) -> None:
        self.received: Counts[str] = Counts()
        """By type, as in `gateway_events_received`."""
        self.frames = 0
        self.bytes = 0

    def publish(self) -> None:
        """Moves what was counted since the last time into the metrics."""
        for type_, events in self.received.items():
            EVENTS_IN.labels(type_).inc(events)
        self.received.clear()
        FRAMES_OUT.inc(self.frames)
        BYTES_OUT.inc(self.bytes)
        self.frames = self.bytes = 0


TALLY = Tally()
