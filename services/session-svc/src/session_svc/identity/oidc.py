"""JWTs of an OpenID provider: who bears one, and what it permits."""

from collections import OrderedDict
from typing import Any, Final

import jwt

from session_svc.domain.access import PATTERNS, Grant, NamePatterns, Scope
from session_svc.domain.errors import StoreUnavailable, TokenInvalid
from session_svc.domain.limits import AUTHOR_CHARACTERS, EXISTING_NAME_CHARACTERS
from session_svc.identity.keys import ProviderKeys

LEEWAY_SECONDS: Final = 30
"""By how much the provider's clock and ours may differ."""

SCOPES_CLAIM: Final = "aichat_scopes"
SESSIONS_CLAIM: Final = "aichat_sessions"
SCOPE_PREFIXES: Final = ("aichat:", "aichat.")
"""What stands before ours among the provider's other scopes, in `scope` or `scp`."""

REMEMBERED: Final = 10_000
"""How many tokens are not verified anew with every call."""

_WORDS: Final = {scope.word: scope for scope in Scope if scope}


class ProviderTokens:
    """Verifies JWTs; one that was verified is remembered until it expires or the provider's keys change."""

    def __init__(self, issuer: str, audience: str, keys: ProviderKeys, *, remembered: int = REMEMBERED) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._verified: OrderedDict[str, Grant] = OrderedDict()
        self._version = keys.version
        self._most = remembered

    def __len__(self) -> int:
        """How many tokens are remembered."""
        return len(self._verified)

    async def refresh(self) -> None:
        """Reads the provider's keys again when it is time to."""
        await self._keys.renew()

    async def verify(self, token: str, digest: str) -> Grant:
        """What it permits. Raises TokenInvalid; StoreUnavailable while the provider's keys are out of reach."""
        if self._version != self._keys.version:
            self._version = self._keys.version
            self._verified.clear()
        grant = self._verified.get(digest)
        if grant is None:
            grant = await self._judge(token)
            self._verified[digest] = grant
            if len(self._verified) > self._most:
                self._verified.popitem(last=False)
        return grant

    async def _judge(self, token: str) -> Grant:
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
        except jwt.PyJWTError:
            raise TokenInvalid from None
        key = await self._keys.find(key_id)
        if key is None:
            if self._keys.answers:
                raise TokenInvalid
            raise StoreUnavailable("the identity provider does not answer, so the token cannot be judged")
        try:
            claims = jwt.decode(
                token,
                key.public,
                algorithms=key.algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
            return _grant(claims)
        except (jwt.PyJWTError, TypeError, ValueError, OverflowError):
            raise TokenInvalid from None


def _grant(claims: dict[str, Any]) -> Grant:
    return Grant(_name(claims), _scope(claims), _sessions(claims), float(claims["exp"]) + LEEWAY_SECONDS)


def _name(claims: dict[str, Any]) -> str:
    """The name that people know, else an address that the provider has verified, else its own id for them."""
    email = claims.get("email") if claims.get("email_verified", True) is True else None
    for name in (claims.get("preferred_username"), email, claims.get("sub")):
        if isinstance(name, str) and 0 < len(name) <= AUTHOR_CHARACTERS and name.isprintable():
            return name
    raise TokenInvalid


def _scope(claims: dict[str, Any]) -> Scope:
    """The highest of those that it names. NONE where it names none: the bearer is known, and may do nothing."""
    if SCOPES_CLAIM in claims:
        words = _texts(claims[SCOPES_CLAIM])
    else:
        given = [*_texts(claims.get("scope")), *_texts(claims.get("scp"))]
        words = [text[len(prefix) :] for text in given for prefix in SCOPE_PREFIXES if text.startswith(prefix)]
    return max((_WORDS[word] for word in words if word in _WORDS), default=Scope.NONE)


def _sessions(claims: dict[str, Any]) -> NamePatterns | None:
    if SESSIONS_CLAIM not in claims:
        return None
    patterns = _texts(claims[SESSIONS_CLAIM])
    if not 0 < len(patterns) <= PATTERNS or max(map(len, patterns)) > EXISTING_NAME_CHARACTERS:
        raise TokenInvalid  # What it means to restrict is unknown, so nothing is allowed.
    return NamePatterns(tuple(patterns))


def _texts(claim: object) -> list[str]:
    """A claim of several words: a list, or a text with spaces between."""
    if isinstance(claim, str):
        return claim.split()
    return [item for item in claim if isinstance(item, str)] if isinstance(claim, list) else []
