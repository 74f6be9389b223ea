"""Real reverse proxies, run with the files of deploy/proxy."""

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aichat_dev.embedded_redis import free_port
from aichat_dev.spawn import kill, spawn
from support.needs import missing
from support.product import ROOT
from support.until import until

CONFIGURATIONS: Final = ROOT / "deploy" / "proxy"

_NGINX: Final = """
daemon off;
pid {directory}/pid;
error_log stderr;
user {user};
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {http}
}}
"""


class Certificate:
    """A certificate for `localhost` that is its own authority, in `directory`."""

    def __init__(self, directory: Path) -> None:
        if shutil.which("openssl") is None:
            missing("openssl")
        self.chain = directory / "fullchain.pem"
        self.key = directory / "privkey.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-keyout", self.key, "-out", self.chain, "-days", "2", "-subj", "/CN=localhost"),
                *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            ],
            check=True,
            capture_output=True,
        )

    @property
    def context(self) -> ssl.SSLContext:
        """For a client that trusts it and nothing else."""
        return ssl.create_default_context(cafile=str(self.chain))


class Proxy:
    """Context manager: nginx or Caddy in the foreground, on a free port of 127.0.0.1, with TLS."""

    def __init__(self, name: str) -> None:
        """`name`: the program; skips where it is not installed."""
        self._program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
        if self._program is None:
            missing(f"{name} (Debian: apt install {name})")
        self.name = name
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.directory = Path(tempfile.mkdtemp(prefix=f"aichat-{name}-"))
        self.certificate = Certificate(self.directory)
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, file: str, replaced: Mapping[str, str]) -> None:
        """Takes a file of deploy/proxy, with each example in it replaced by what is real here."""
        text = (CONFIGURATIONS / file).read_text(encoding="utf-8")
        for example, real in replaced.items():
            assert example in text, f"{file} no longer says {example}"
            text = text.replace(example, real)
        (self.directory / "configuration").write_text(self._complete(text), encoding="utf-8")

    def _complete(self, text: str) -> str:
        tls = f"ssl_certificate {self.certificate.chain}; ssl_certificate_key {self.certificate.key};"
        if self.name == "caddy":
            own = f"tls {self.certificate.chain} {self.certificate.key}"
            return "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text.replace("{\n", f"{{\n\t{own}\n", 1)
        if "server {" not in text:
            text = f"server {{ listen 127.0.0.1:{self.port} ssl; {tls}\n{text} }}"
        user = "root" if os.geteuid() == 0 else "nobody"
        return _NGINX.format(directory=self.directory, user=user, http=text)

    def __enter__(self) -> Self:
        file = str(self.directory / "configuration")
        arguments = {"nginx": ["-c", file], "caddy": ["run", "--config", file, "--adapter", "caddyfile"]}[self.name]
        with (self.directory / "log").open("ab") as log:
            self._process = spawn(
                [str(self._program), *arguments],
                output=log,
                environment={"PATH": os.environ["PATH"], "HOME": str(self.directory)},
                directory=self.directory,
            )
        try:
            until(self._answers, what=f"{self.name} on port {self.port}")
        except BaseException as error:
            error.add_note(self.log)
            self._clean_up()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is not None:
            exc.add_note(f"--- {self.name}:\n{self.log}")
        self._clean_up()

    @property
    def log(self) -> str:
        """The end of what it has printed."""
        return (self.directory / "log").read_text(encoding="utf-8", errors="replace")[-4000:]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False

    def _clean_up(self) -> None:
        if self._process is not None:
            kill(self._process)
        shutil.rmtree(self.directory, ignore_errors=True)
