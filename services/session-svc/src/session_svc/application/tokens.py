"""Page tokens: opaque, safe in URLs, bound to the request they continue."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Final

from session_svc.domain.errors import InvalidPageToken

VERSION: Final = b"\x01"
_DIGEST_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Request:
    """What a token is bound to: the call and every field of it that selects or orders, but not the page size."""

    call: str
    fields: tuple[object, ...]

    def seal(self, place: str) -> str:
        """The token that continues this request at `place`."""
        return base64.urlsafe_b64encode(VERSION + self._digest() + place.encode()).decode().rstrip("=")

    def open(self, token: str) -> str:
        """The place in `token`; raises InvalidPageToken unless this request made it."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            place = raw[len(VERSION) + _DIGEST_BYTES :].decode()
        except (binascii.Error, ValueError):
            raise InvalidPageToken from None
        if raw[: len(VERSION) + _DIGEST_BYTES] != VERSION + self._digest():
            raise InvalidPageToken
        return place

    def _digest(self) -> bytes:
        text = json.dumps([self.call, *self.fields])
        return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()
