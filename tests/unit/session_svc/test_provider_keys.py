"""The keys of an OpenID provider: which count, where they may come from, and when they are read again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from session_svc.identity.keys import ASK_AGAIN_SECONDS, RENEW_SECONDS, ProviderKeys
from support.openid import OpenIdProvider

KEYS_PATH = "/realm/keys"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def running() -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as provider:
        yield provider


@pytest.fixture
def provider(running: OpenIdProvider) -> Iterator[OpenIdProvider]:
    """One that has the key `first`, whatever other tests have had it say."""
    before = running.keys
    yield running
    running.describe()
    running.serve(KEYS_PATH, before)
    running.moved.clear()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def published(provider: OpenIdProvider) -> dict[str, Any]:
    key: dict[str, Any] = json.loads(provider.keys)["keys"][0]
    return key


async def ids(keys: ProviderKeys, *wanted: str | None) -> list[str | None]:
    """Those of `wanted` that are known."""
    return [key_id for key_id in wanted if await keys.find(key_id) is not None]


async def test_only_keys_that_are_made_for_signing_count(provider: OpenIdProvider) -> None:
    key = published(provider)
    provider.publish(
        [
            {**key, "kid": "good"},
            {name: value for name, value in key.items() if name != "use"} | {"kid": "unsaid"},
            {**key, "kid": "encrypts", "use": "enc"},
            {**key, "kid": "unknown algorithm", "alg": "RSA-OAEP"},
            {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
            {"kty": "RSA", "kid": "halved", "n": key["n"]},
            "nonsense",
        ]
    )
    keys = ProviderKeys(provider.issuer, None)
    assert await ids(keys, "good", "unsaid", "encrypts", "unknown algorithm", "secret", "halved") == ["good", "unsaid"]


async def test_a_key_serves_the_algorithm_alone_that_it_names(provider: OpenIdProvider) -> None:
    key = published(provider)
    provider.publish([{**key, "kid": "one", "alg": "RS512"}, {**key, "kid": "any"}])
    keys = ProviderKeys(provider.issuer, None)
    one, several = await keys.find("one"), await keys.find("any")
    assert one is not None
    assert one.algorithms == ["RS512"]
    assert several is not None
    assert {"RS256", "PS512"} < set(several.algorithms)


async def test_a_token_that_names_no_key_means_the_only_one(provider: OpenIdProvider) -> None:
    assert await ids(ProviderKeys(provider.issuer, None), None) == [None]
    key = published(provider)
    provider.publish([{**key, "kid": "a"}, {**key, "kid": "b"}])
    assert await ids(ProviderKeys(provider.issuer, None), None, "a", "b") == ["a", "b"]


@pytest.mark.parametrize(
    "document",
    [
        b'{"keys": []}',
        b'{"keys": 5}',
        b"[]",
        b"nonsense",
        b"\xff",
        b"[" * 100_000,
        b'{"keys": [' + b" " * MIB + b"]}",
    ],
    ids=["no keys", "no list", "no object", "no JSON", "no text", "deep", "huge"],
)
async def test_what_is_no_list_of_keys_changes_nothing(provider: OpenIdProvider, document: bytes) -> None:
    clock = Clock()
    keys = ProviderKeys(provider.issuer, None, clock=clock)
    assert await ids(keys, "first") == ["first"]
    provider.serve(KEYS_PATH, document)
    clock.now += RENEW_SECONDS
    await keys.renew()
    assert not keys.answers
    assert await ids(keys, "first") == ["first"]


async def test_a_list_of_keys_is_not_read_beyond_what_any_provider_has(provider: OpenIdProvider) -> None:
    provider.serve(KEYS_PATH, provider.keys + b" " * MIB)
    keys = ProviderKeys(provider.issuer, None)
    assert await ids(keys, "first") == []
    assert not keys.answers


async def test_a_discovery_document_of_another_provider_is_not_believed(provider: OpenIdProvider) -> None:
    provider.describe(issuer="https://elsewhere.example")
    assert await ids(ProviderKeys(provider.issuer, None), "first") == []


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://localhost/keys", None, 5])
async def test_keys_are_fetched_by_http_alone(provider: OpenIdProvider, where: object) -> None:
    provider.describe(jwks_uri=where)
    keys = ProviderKeys(provider.issuer, None)
    assert await ids(keys, "first") == []
    assert not keys.answers


async def test_keys_do_not_come_from_where_an_answer_points(provider: OpenIdProvider) -> None:
    provider.serve("/realm/others", provider.keys)
    provider.redirect(KEYS_PATH, f"{provider.issuer}/others")
    assert await ids(ProviderKeys(provider.issuer, None), "first") == []


async def test_a_key_that_was_withdrawn_is_trusted_for_some_minutes_more_and_no_longer(
    provider: OpenIdProvider,
) -> None:
    clock = Clock()
    keys = ProviderKeys(provider.issuer, None, clock=clock)
    await keys.renew()
    provider.rotate("second", curve=True)
    clock.now += RENEW_SECONDS - 1
    await keys.renew()
    assert await ids(keys, "first") == ["first"]
    clock.now += 1
    await keys.renew()
    assert await ids(keys, "first", "second") == ["second"]


async def test_keys_that_are_read_again_are_others_only_when_they_have_changed(provider: OpenIdProvider) -> None:
    clock = Clock()
    keys = ProviderKeys(provider.issuer, None, clock=clock)
    versions = []
    for _ in range(3):
        await keys.renew()
        versions.append(keys.version)
        clock.now += RENEW_SECONDS
    provider.rotate("second", curve=True)
    await keys.renew()
    assert versions == [versions[0]] * 3
    assert keys.version > versions[0]


async def test_unknown_keys_have_the_provider_asked_now_and_then(provider: OpenIdProvider) -> None:
    clock = Clock()
    keys = ProviderKeys(provider.issuer, None, clock=clock)
    assert await ids(keys, "second") == []
    provider.rotate("second", curve=True)
    assert await ids(keys, "second") == []
    clock.now += ASK_AGAIN_SECONDS
    assert await ids(keys, "second") == ["second"]


async def test_keys_in_a_file_are_read_again_too(provider: OpenIdProvider, tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "keys.json"
    keys = ProviderKeys("https://nowhere.invalid", str(path), clock=clock)
    assert await ids(keys, "first") == []
    path.write_bytes(provider.keys)
    clock.now += ASK_AGAIN_SECONDS
    assert await ids(keys, "first") == ["first"]
