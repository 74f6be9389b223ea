"""The public keys of an OpenID provider, which change now and then."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Final

import jwt
import structlog

FETCH_SECONDS: Final = 5.0
ASK_AGAIN_SECONDS: Final = 3.0
"""A key that is unknown has the provider asked, but never more often than this."""

RENEW_SECONDS: Final = 300.0
"""After so long the keys are read anew, so that one that was withdrawn is not trusted for ever."""

_MOST_BYTES: Final = 1024 * 1024
_ALGORITHMS: Final = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512", "ES256K"),
    "OKP": ("EdDSA",),
}
"""By type of key. With shared secrets (HS256) whoever can verify a token could make one, so they are not accepted."""

_log = structlog.get_logger(__name__)


class KeysError(Exception):
    """The keys cannot be read; the text says from where and why."""


class Key:
    """A public key, and the algorithms for which it is meant."""

    def __init__(self, data: dict[str, Any]) -> None:
        """Raises jwt.PyJWTError when it is none that can be used here."""
        algorithms = _ALGORITHMS.get(str(data.get("kty")), ())
        stated = data.get("alg")
        self.algorithms = [name for name in algorithms if stated in {None, name}]
        if not self.algorithms or data.get("use", "sig") != "sig":
            raise jwt.InvalidKeyError
        self.public = jwt.PyJWK(data).key


class ProviderKeys:
    """The keys by their ids, from a file or a URL, or from where the provider's discovery document says."""

    def __init__(self, issuer: str, source: str | None, *, clock: Callable[[], float] = monotonic) -> None:
        self._issuer = issuer
        self._source = source
        self._clock = clock
        self._keys: dict[str | None, Key] = {}
        self._raw = b""
        self._asked = float("-inf")
        self._reading = asyncio.Lock()
        self.version = 0
        """Grows when the keys have changed."""
        self.answers = False
        """Whether they could be read when they were last asked for."""

    async def find(self, key_id: str | None) -> Key | None:
        """The key of this id, asking the provider if it is unknown; the only one there is, where no id is given."""
        key = self._known(key_id)
        if key is None:
            await self.renew(ASK_AGAIN_SECONDS)
            key = self._known(key_id)
        return key

    async def renew(self, older_than: float = RENEW_SECONDS) -> None:
        """Reads the keys again if that was more than so many seconds ago; those before stay when it fails."""
        async with self._reading:
            if self._clock() - self._asked < older_than:
                return
            self._asked = self._clock()
            try:
                keys, raw = await asyncio.to_thread(self._read)
            except KeysError as error:
                self.answers = False
                _log.warning("provider_keys_unread", problem=str(error))
                return
            self.answers = True
            if raw != self._raw:
                self._raw = raw
                self._keys = keys
                self.version += 1
                _log.info("provider_keys_read", count=len(keys))

    def _known(self, key_id: str | None) -> Key | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def _read(self) -> tuple[dict[str | None, Key], bytes]:
        """Blocks."""
        source = self._source
        if source is None:
            discovery = _object(_fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"), self._issuer)
            if discovery.get("issuer") != self._issuer:
                raise KeysError(f"{self._issuer}: its discovery document is that of {discovery.get('issuer')!r}")
            source = str(discovery.get("jwks_uri"))
        raw = _fetch(source) if "://" in source else _load(source)
        entries = _object(raw, source).get("keys")
        keys: dict[str | None, Key] = {}
        for entry in entries if isinstance(entries, list) else ():
            try:
                keys[entry.get("kid")] = Key(entry)
            except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
                continue  # Providers list keys for other uses beside.
        if not keys:
            raise KeysError(f"{source}: no public key that can verify a token")
        return keys, raw


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keys come from where the operator said, not from where that points."""

    def redirect_request(self, *_: object) -> None:
        return None


def _fetch(url: str) -> bytes:
    if not url.startswith(("https://", "http://")):
        raise KeysError(f"{url!r} is no https:// URL")
    try:
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(url, timeout=FETCH_SECONDS) as answer:
            body: bytes = answer.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise KeysError(f"{url}: {error}") from error
    if len(body) > _MOST_BYTES:
        raise KeysError(f"{url}: more than {_MOST_BYTES} bytes")
    return body


def _load(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise KeysError(f"{path}: {error.strerror or error}") from error


def _object(raw: bytes, source: str) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise KeysError(f"{source}: not a JSON object")
    return value
