"""Real reverse proxies, run with the files of deploy/proxy."""

import os
import shutil
import socket
from collections.abc import Mapping
from typing import Final

from aichat_dev.embedded_redis import free_port
from support.certificates import Authority
from support.child import Child
from support.needs import missing
from support.product import ROOT
from support.running import inherited

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


class Proxy(Child):
    """Context manager: nginx or Caddy in the foreground, on a free port of 127.0.0.1, with TLS."""

    def __init__(self, name: str) -> None:
        """`name`: the program; skips where it is not installed."""
        program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            missing(f"{name} (Debian: apt install {name})")
        super().__init__(name, [program], inherited(["PATH"]))
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.authority = Authority(self.directory)
        self.environment["HOME"] = str(self.directory)
        file = str(self.directory / "configuration")
        self.command += {"nginx": ["-c", file], "caddy": ["run", "--config", file, "--adapter", "caddyfile"]}[name]

    def configure(self, file: str, replaced: Mapping[str, str]) -> None:
        """Takes a file of deploy/proxy, with each example in it replaced by what is real here."""
        text = (CONFIGURATIONS / file).read_text(encoding="utf-8")
        for example, real in replaced.items():
            assert example in text, f"{file} no longer says {example}"
            text = text.replace(example, real)
        (self.directory / "configuration").write_text(self._complete(text), encoding="utf-8")

    def wait(self) -> None:
        """Waits until it listens."""
        self.until(self._answers, f"nobody listens on port {self.port}")

    def _complete(self, text: str) -> str:
        certificate, key = self.authority.cert, self.authority.key
        if self.name == "caddy":
            own = f"tls {certificate} {key}"
            return "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text.replace("{\n", f"{{\n\t{own}\n", 1)
        if "server {" not in text:
            tls = f"ssl_certificate {certificate}; ssl_certificate_key {key};"
            text = f"server {{ listen 127.0.0.1:{self.port} ssl; {tls}\n{text} }}"
        user = "root" if os.geteuid() == 0 else "nobody"
        return _NGINX.format(directory=self.directory, user=user, http=text)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False
