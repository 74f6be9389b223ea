"""`stream-gateway serve`: from the environment to a running process."""

import asyncio

import uvloop
from aichat_runtime import logs
from aichat_runtime.descriptors import allow_descriptors
from aichat_runtime.settings import exit_with_errors, load

from stream_gateway import bootstrap, server
from stream_gateway.settings import GatewaySettings


def serve() -> None:
    """Serves until it is told to stop; bad settings end it with 2."""
    settings = load(GatewaySettings)
    logs.configure(settings.log_level, settings.log_format)
    allow_descriptors()
    try:
        listener = server.listen(settings.gateway_listen)
    except OSError as error:
        exit_with_errors([f"GATEWAY_LISTEN: cannot listen on {settings.gateway_listen}: {error.strerror}"])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bootstrap.run(settings, listener))
