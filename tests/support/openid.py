"""An OpenID provider for tests: it serves its discovery document and keys, and signs whatever it is told to."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "ai-chat"


class OpenIdProvider:
    """Context manager. `issuer` is its URL; `requests` counts what was asked of it by path."""

    def __init__(self) -> None:
        self.requests: dict[str, int] = {}
        self.answers = True
        self.moved: dict[str, str] = {}
        self._documents: dict[str, bytes] = {}
        self._keys: dict[str, Any] = {}
        handler = type("Handler", (_Handler,), {"provider": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.issuer = f"http://127.0.0.1:{self._server.server_port}/realm"
        self.describe()
        self.rotate("first")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def keys(self) -> bytes:
        """Its public keys, as it serves them."""
        return self._documents["/realm/keys"]

    def rotate(self, key_id: str, *, curve: bool = False) -> None:
        """Signs with a new key from now on, and publishes only that one."""
        if curve:
            on_curve = ec.generate_private_key(ec.SECP256R1())
            self._keys[key_id] = on_curve
            public = ECAlgorithm.to_jwk(on_curve.public_key(), as_dict=True)
        else:
            key = rsa.generate_private_key(65537, 2048)
            self._keys[key_id] = key
            public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self.publish([{**public, "kid": key_id, "use": "sig"}])
        self.key_id = key_id

    def publish(self, keys: Sequence[object]) -> None:
        """Serves these keys."""
        self.serve("/realm/keys", json.dumps({"keys": keys}).encode())

    def describe(self, **members: object) -> None:
        """Serves a discovery document with these members changed."""
        discovery = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys", **members}
        self.serve("/realm/.well-known/openid-configuration", json.dumps(discovery).encode())

    def serve(self, path: str, body: bytes) -> None:
        """Answers with `body` at `path`."""
        self._documents[path] = body

    def redirect(self, path: str, to: str) -> None:
        """Answers at `path` that it is at `to`."""
        self.moved[path] = to

    def sign(
        self,
        claims: Mapping[str, object],
        *,
        key_id: str | None = None,
        headers: Mapping[str, object] | None = None,
        seconds: float = 600,
    ) -> str:
        """A token of `claims`, besides the usual ones; one that is None is left out."""
        now = time.time()
        whole = {"iss": self.issuer, "aud": AUDIENCE, "sub": "42", "iat": now, "exp": now + seconds, **claims}
        key = self._keys[key_id or self.key_id]
        return jwt.encode(
            {name: value for name, value in whole.items() if value is not None},
            key,
            algorithm="ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256",
            headers={"kid": key_id or self.key_id, **(headers or {})},
        )

    def answer(self, path: str) -> bytes | None:
        """What it says at `path`."""
        self.requests[path] = self.requests.get(path, 0) + 1
        return self._documents.get(path) if self.answers else None


class _Handler(BaseHTTPRequestHandler):
    provider: OpenIdProvider

    def do_GET(self) -> None:
        body = self.provider.answer(self.path)
        moved = self.provider.moved.get(self.path)
        self.send_response(302 if moved else 200 if body is not None else 500)
        if moved:
            self.send_header("Location", moved)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - As above.
        """Nothing: tests read the services' logs."""
