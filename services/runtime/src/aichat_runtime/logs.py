"""Structured logs on stderr: one event a line, a request id on each, never message content."""

import logging
import sys
from typing import Literal

import structlog

HEADER = "x-request-id"
"""The gRPC metadata key and HTTP header that carries a request's id from the edge to the store."""

_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
"""Where, never with what: local variables hold message content."""


def configure(level: str = "info", log_format: Literal["console", "json"] | None = None) -> None:
    """Sends structlog and the standard library's logs to stderr.

    `log_format` None: `console` when stderr is a terminal, else `json`.
    """
    chosen = log_format or ("console" if sys.stderr.isatty() else "json")
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if chosen == "console"
        else [_TRACEBACKS, structlog.processors.JSONRenderer()]
    )
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.INFO), force=True)


def bind_request_id(request_id: str) -> None:
    """Puts `request_id` on every log line of the current task."""
    structlog.contextvars.bind_contextvars(request_id=request_id)
