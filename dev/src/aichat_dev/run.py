"""`make run`: the whole product on this machine, without Docker, until Ctrl-C."""

import os
import shlex
import socket
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import redis
from aichat_runtime.address import Address
from aichat_runtime.settings import load

from aichat_dev.directory_lock import DirectoryInUseError
from aichat_dev.embedded_redis import EmbeddedRedis, EmbeddedRedisError, free_port
from aichat_dev.output import Output
from aichat_dev.programs import Program, RedisProgram, ServiceProgram
from aichat_dev.settings import RunSettings, child_environment
from aichat_dev.supervisor import RunFailedError, Supervisor

SERVICES: Final = (("session-svc", "session_svc"), ("stream-gateway", "stream_gateway"))
"""Name and module of every service, in the order of their start; they end in the reverse order."""

ASSISTANT: Final = ("assistant", "ai_chat_assistant")
"""It comes after the services, unless ASSISTANT=off."""

STOP_MARGIN_SECONDS: Final = 5.0
REDIS_ANSWER_SECONDS: Final = 5.0


class CannotRunError(Exception):
    """Something that the user can change stands in the way; the text is one line that says what."""


def main() -> None:
    """Runs until a signal; exit 0 after one, 1 when a program cannot be kept running, 2 for a bad setting."""
    settings = load(RunSettings)
    output = Output()
    try:
        settings = _with_ports(settings)
        if settings.redis_enabled and not settings.embeds_redis:
            _check_redis(settings.redis_dsn())
        _run(settings, output)
    except (CannotRunError, DirectoryInUseError, EmbeddedRedisError, RunFailedError) as error:
        output.say(str(error))
        raise SystemExit(1) from None


def _run(settings: RunSettings, output: Output) -> None:
    server = EmbeddedRedis(settings.data_dir, port=free_port()) if settings.embeds_redis else None
    environment = child_environment(settings, server.url if server else None)
    grace = float(environment["DRAIN_SECONDS"]) + STOP_MARGIN_SECONDS
    programs: list[Program] = [] if server is None else [RedisProgram(server)]
    parts = (*SERVICES, ASSISTANT) if settings.assistant == "on" else SERVICES
    for number, (name, module) in enumerate(parts):
        own = {**environment, **_metrics(settings, number)}
        programs.append(ServiceProgram(name, module, own, grace=grace, output=output))
    try:
        Supervisor(programs, output).run(lambda: _announce(settings, server))
    finally:
        if server is not None:
            server.close()


def _announce(settings: RunSettings, server: EmbeddedRedis | None) -> None:
    if server is not None:
        data = f"{settings.data_dir}  (Redis at {server.url}, log in {settings.data_dir / 'redis.log'})"
    elif settings.redis_enabled:
        data = f"Redis at {_without_password(settings.redis_dsn())}"
    else:
        data = "in memory: nothing survives (REDIS_ENABLED=false)"
    with suppress(OSError):  # Nobody reads it; the run itself is what was asked for.
        print(
            f"\n  page       {settings.page_url}\n  chat       {chat_command(settings)}"
            f"\n  assistant  {settings.who_answers}\n  data       {data}\n\n  Ctrl-C stops all.\n",
            flush=True,
        )


def chat_command(settings: RunSettings) -> str:
    """What to type in another terminal, in this directory, to start a chat."""
    program = Path(sys.executable).with_name("ai-chat")
    with suppress(ValueError):
        program = program.relative_to(Path.cwd())
    server = [] if settings.is_default_grpc else ["--server", settings.grpc_address]
    return shlex.join([str(program), *server, "--session", "my-project"])


def _with_ports(settings: RunSettings) -> RunSettings:
    """The same settings with real ports for 0, every one of them free; raises CannotRunError otherwise."""
    listens = {name: _free(name.upper(), getattr(settings, name)) for name in ("session_svc_listen", "gateway_listen")}
    return settings.model_copy(update=listens)


def _free(variable: str, listen: Address) -> Address:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # A port in TIME_WAIT can be listened on.
        try:
            probe.bind((listen.host, listen.port))
        except OSError as error:
            other = Address(listen.host, listen.port + 1 if listen.port < 65535 else 0)
            raise CannotRunError(
                f"cannot listen at {listen} ({os.strerror(error.errno or 0)}): stop what uses it, or choose another "
                f"address, for example {variable}={other}"
            ) from None
        return replace(listen, port=probe.getsockname()[1])


def _check_redis(url: str) -> None:
    """Raises CannotRunError when nothing usable answers at `url`: waiting for it is no use to a person at a prompt."""
    try:
        with redis.Redis.from_url(
            url, socket_connect_timeout=REDIS_ANSWER_SECONDS, socket_timeout=REDIS_ANSWER_SECONDS
        ) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        raise CannotRunError(
            f"no Redis at {_without_password(url)} ({error}): "
            "start it, correct REDIS_URL, or unset it for the embedded one"
        ) from None


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _metrics(settings: RunSettings, number: int) -> dict[str, str]:
    """METRICS_LISTEN is one address for several services here: each takes the next port."""
    listen = settings.metrics_listen
    return (
        {} if listen is None or not listen.port else {"METRICS_LISTEN": str(replace(listen, port=listen.port + number))}
    )


if __name__ == "__main__":
    main()
