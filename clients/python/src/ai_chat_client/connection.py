"""How to reach a server: what a channel is made from and what each call carries."""

import json
import uuid
from pathlib import Path
from urllib.parse import quote

import grpc

from ai_chat_client import context
from ai_chat_client.endpoint import Endpoint

_ASCII_GRAPHIC = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


class ConfigurationError(ValueError):
    """The client cannot be set up like this; the text names the remedy."""


class Connection:
    """Endpoint, credentials and metadata, checked once; shared by the async and the sync client."""

    def __init__(
        self,
        server: str,
        *,
        token: str | None = None,
        tls_ca: str | Path | None = None,
        author: str | None = None,
        tls: bool | None = None,
        insecure: bool = False,
    ) -> None:
        try:
            self.endpoint = Endpoint.parse(server, tls=tls)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        # As it is named in errors: one who meant the other kind of server sees it there.
        self.server = f"{server} (TLS)" if self.endpoint.tls else server
        self._carries_tokens = self.endpoint.tls or self.endpoint.local or insecure
        self._token = token or None
        if token:
            self._check(token)
        self._roots = self._read_roots(tls_ca) if self.endpoint.tls else None
        self._metadata: list[tuple[str, str]] = []
        if author:
            self._metadata.append(("ai-chat-author", quote(author, safe=_ASCII_GRAPHIC)))

    @staticmethod
    def _read_roots(tls_ca: str | Path | None) -> bytes | None:
        if tls_ca is None:
            return None
        try:
            roots = Path(tls_ca).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"cannot read the CA file {tls_ca}: {error.strerror}") from None
        if b"-----BEGIN CERTIFICATE-----" not in roots:
            raise ConfigurationError(f"there is no certificate in the CA file {tls_ca}; it must be in PEM format")
        return roots

    @property
    def credentials(self) -> grpc.ChannelCredentials | None:
        """None: plaintext."""
        return grpc.ssl_channel_credentials(self._roots) if self.endpoint.tls else None

    @property
    def channel_options(self) -> list[tuple[str, str | int]]:
        """Reconnect soon, notice dead connections below a watch, spread calls over all addresses."""
        balancing: dict[str, object] = {"loadBalancingConfig": [{"round_robin": {}}]}
        return [
            ("grpc.service_config", json.dumps(balancing)),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 2_000),
            ("grpc.max_reconnect_backoff_ms", 5_000),
            # Pinged only while nothing is received for 20 s, so never when a watch's heartbeats (15 s) arrive:
            # servers with gRPC's strict defaults do not mind.
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            # http_proxy in the environment is not meant for this machine.
            ("grpc.enable_http_proxy", 0 if self.endpoint.local else 1),
        ]

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What one call, with all its attempts, carries. ConfigurationError: not with the token of this context."""
        token = self._token
        if token is None and (token := context.token.get()):
            self._check(token)
        bearer = (("authorization", f"Bearer {token}"),) if token else ()
        return (*bearer, *self._metadata, ("x-request-id", context.request_id.get() or uuid.uuid4().hex))

    def _check(self, token: str) -> None:
        if not self._carries_tokens:
            raise ConfigurationError(
                f"refusing to send the token to {self.server} without encryption: anyone on the way could read it. "
                "Use https://, or allow it with insecure (--insecure)."
            )
        if not (token.isascii() and token.isprintable()):
            raise ConfigurationError("the token holds characters that no token has; is it the right file?")
