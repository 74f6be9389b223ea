"""Who bears a token: what its claims make of it, and how what was admitted before is looked at again."""

import asyncio
import datetime as dt
import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from session_svc.domain.access import PATTERNS
from session_svc.domain.errors import TokenInvalid
from session_svc.domain.limits import AUTHOR_CHARACTERS, EXISTING_NAME_CHARACTERS
from session_svc.identity.identity import Identity
from session_svc.identity.keys import RENEW_SECONDS, ProviderKeys
from session_svc.identity.oidc import ProviderTokens
from session_svc.identity.token_file import digest
from session_svc.identity.tokens import FileTokens
from support.openid import AUDIENCE, OpenIdProvider
from support.tokens import TokensFile

DEADLINE_SECONDS = 60


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as running:
        yield running


def identity(provider: OpenIdProvider) -> Identity:
    return Identity(None, ProviderTokens(provider.issuer, AUDIENCE, ProviderKeys(provider.issuer, None)))


async def counts(who: Identity, token: str) -> bool:
    """Whether somebody bears `token`."""
    try:
        await who.verify(token)
    except TokenInvalid:
        return False
    return True


async def nothing() -> None:
    """Has nothing to review."""


@pytest.fixture
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has reviews follow one another as fast as the file is looked at."""
    monkeypatch.setattr("session_svc.identity.identity.REVIEW_SECONDS", 0.0)


async def test_a_name_that_is_too_long_to_stand_as_an_author_is_passed_over(provider: OpenIdProvider) -> None:
    who = identity(provider)
    longest = "x" * AUTHOR_CHARACTERS
    assert (await who.verify(provider.sign({"preferred_username": longest}))).name == longest
    assert (await who.verify(provider.sign({"preferred_username": longest + "x"}))).name == "42"


@pytest.mark.parametrize(
    ("patterns", "permitted"),
    [
        (["a"] * PATTERNS, True),
        (["a"] * (PATTERNS + 1), False),
        (["a" * EXISTING_NAME_CHARACTERS], True),
        (["a" * (EXISTING_NAME_CHARACTERS + 1)], False),
        ("", False),
    ],
)
async def test_a_claim_of_too_many_or_too_long_patterns_permits_nothing(
    provider: OpenIdProvider, patterns: object, permitted: bool
) -> None:
    assert await counts(identity(provider), provider.sign({"aichat_sessions": patterns})) is permitted


async def test_only_so_many_tokens_are_remembered(provider: OpenIdProvider) -> None:
    keys = ProviderKeys(provider.issuer, None)
    await keys.renew()
    tokens = ProviderTokens(provider.issuer, AUDIENCE, keys, remembered=2)
    for number in range(5):
        grant = await tokens.verify(provider.sign({"sub": str(number)}), str(number))
        assert grant.name == str(number)
        assert len(tokens) == min(number + 1, 2)


@pytest.mark.usefixtures("in_haste")
async def test_keys_that_were_withdrawn_are_noticed_although_no_new_one_is_seen(provider: OpenIdProvider) -> None:
    now = 1000.0
    keys = ProviderKeys(provider.issuer, None, clock=lambda: now)
    who = Identity(None, ProviderTokens(provider.issuer, AUDIENCE, keys))
    token = provider.sign({})
    assert await counts(who, token)
    provider.rotate("next", curve=True)
    now += RENEW_SECONDS
    async with who.running(nothing), asyncio.timeout(DEADLINE_SECONDS):
        while await counts(who, token):  # noqa: ASYNC110 - Nothing tells when keys were read.
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("in_haste")
async def test_a_review_that_fails_is_followed_by_the_next(provider: OpenIdProvider) -> None:
    reviews = 0
    again = asyncio.Event()

    async def review() -> None:
        nonlocal reviews
        reviews += 1
        if reviews == 1:
            raise ZeroDivisionError
        again.set()

    async with identity(provider).running(review), asyncio.timeout(DEADLINE_SECONDS):
        await again.wait()


async def test_an_edit_by_hand_that_keeps_the_size_of_the_file_is_noticed(tmp_path: Path) -> None:
    tokens = TokensFile(tmp_path / "tokens.json")
    key = digest(tokens.add("ada"))
    file = FileTokens(tokens.path)
    tokens.path.write_bytes(tokens.path.read_bytes().replace(b'"ada"', b'"eve"'))
    os.utime(tokens.path, (0, 0))
    assert await file.refresh()
    grant = file.find(key)
    assert grant is not None
    assert grant.name == "eve"


async def test_tokens_of_the_file_and_of_the_provider_count_side_by_side(
    provider: OpenIdProvider, tmp_path: Path
) -> None:
    tokens = TokensFile(tmp_path / "tokens.json")
    token = tokens.add("ada")
    who = Identity(
        FileTokens(tokens.path), ProviderTokens(provider.issuer, AUDIENCE, ProviderKeys(provider.issuer, None))
    )
    assert (await who.verify(token)).name == "ada"
    assert (await who.verify(provider.sign({}))).name == "42"
    assert not await counts(who, token + "x")


async def test_a_token_of_the_file_counts_until_the_moment_it_expires(tmp_path: Path) -> None:
    tokens = TokensFile(tmp_path / "tokens.json")
    hour = dt.timedelta(hours=1)
    valid, expired = tokens.add("ada", expires=hour), tokens.add("eve", expires=dt.timedelta(milliseconds=-1))
    who = Identity(FileTokens(tokens.path), None)
    assert await counts(who, valid)
    assert not await counts(who, expired)


async def test_an_edit_of_the_file_has_what_was_admitted_looked_at_without_further_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("session_svc.identity.identity.REVIEW_SECONDS", math.inf)
    tokens = TokensFile(tmp_path / "tokens.json")
    reviewed = asyncio.Event()

    async def review() -> None:
        reviewed.set()

    async with Identity(FileTokens(tokens.path), None).running(review), asyncio.timeout(DEADLINE_SECONDS):
        tokens.add("ada")
        await reviewed.wait()


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "..", "é.ü.ö", "x" * 100_000])
async def test_what_is_no_token_of_the_provider_is_refused(provider: OpenIdProvider, token: str) -> None:
    assert not await counts(identity(provider), token)
