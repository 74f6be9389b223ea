"""nginx with the nchan module, configured for speed: messages in shared memory, no log, one worker."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import psutil
from aichat_dev.embedded_redis import free_port
from aichat_dev.spawn import kill, spawn

from bench.processes import Server

REMEDY: Final = "apt-get install nginx libnginx-mod-nchan"
_MODULE_NAME: Final = "ngx_nchan_module.so"
_MODULE_FOLDERS: Final = (Path("/usr/lib/nginx/modules"), Path("/usr/lib64/nginx/modules"), Path("/etc/nginx/modules"))
_START_SECONDS: Final = 20.0

# One worker against one Python process. Messages are kept as long as a run may need them, in nginx's own memory: its
# Redis backend would only add work. The ping is what stream-gateway's heartbeat is. With temporary paths of its own
# it need not be root.
_CONFIGURATION: Final = """
load_module {module};
daemon off;
worker_processes 1;
pid {directory}/pid;
error_log stderr crit;
{user}
events {{ worker_connections 19000; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    nchan_shared_memory_size 512M;
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location ~ ^/pub/(.+)$ {{
            nchan_publisher http;
            nchan_channel_id $1;
            nchan_message_buffer_length 100000;
            nchan_message_timeout 2m;
        }}
        location ~ ^/sub/(.+)$ {{
            nchan_subscriber eventsource;
            nchan_channel_id $1;
            nchan_subscriber_first_message newest;
            nchan_eventsource_ping_interval 15;
        }}
    }}
}}
"""


def is_installed() -> bool:
    """Whether there is an nginx with nchan."""
    return _program() is not None and _module() is not None


@contextmanager
def nginx() -> Iterator[Server]:
    """A master and one worker; POST to /pub/<session>, GET /sub/<session>."""
    program, module = _program(), _module()
    if program is None or module is None:
        raise FileNotFoundError(f"nginx with nchan is not installed: {REMEDY}")
    with TemporaryDirectory(prefix="aichat-bench-nginx-") as directory:
        address = f"127.0.0.1:{free_port()}"
        configuration = Path(directory) / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                module=module,
                directory=directory,
                port=address.rpartition(":")[2],
                user="user root;" if os.getuid() == 0 else "",
            ),
            encoding="utf-8",
        )
        with (Path(directory) / "log").open("w+b") as log:
            process = spawn([program, "-p", directory, "-c", configuration, "-e", "stderr"], output=log)
            try:
                master = psutil.Process(process.pid)
                _wait_until_it_answers(process, address, Path(directory) / "log")
                yield Server(address, (master, *master.children()))
            finally:
                kill(process)


def _program() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _module() -> Path | None:
    return next((path for folder in _MODULE_FOLDERS if (path := folder / _MODULE_NAME).exists()), None)


def _wait_until_it_answers(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection((host, int(port)), 1) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                if connection.recv(1):  # A worker has answered, so there is one.
                    return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"nginx does not start; its log:\n{log.read_text(encoding='utf-8', errors='replace')}")
