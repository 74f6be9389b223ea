"""JWTs of an OpenID provider: who is let in as whom, and what happens when its keys change."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub
from integration.session_svc.failures import Failure, fails, read
from support.openid import AUDIENCE, OpenIdProvider
from support.processes import session_svc
from support.tokens import bearer
from support.until import until

KEYS_PATH = "/realm/keys"
READ = {"aichat_scopes": "read"}


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as running:
        yield running


@pytest.fixture(scope="module")
def stub(provider: OpenIdProvider) -> Iterator[SessionServiceStub]:
    with (
        session_svc(OIDC_ISSUER=provider.issuer, OIDC_AUDIENCE=AUDIENCE) as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        yield SessionServiceStub(channel)


def reason(stub: SessionServiceStub, token: str) -> str:
    """Why a call with `token` is refused; empty when it is not."""
    try:
        stub.ListSessions(api.ListSessionsRequest(), metadata=bearer(token), timeout=60)
    except grpc.RpcError as error:
        return read(error, Failure()).reason
    return ""


def author(stub: SessionServiceStub, token: str) -> str:
    """In whose name a message with `token` is stored."""
    request = api.AppendMessagesRequest(session="s", messages=[pb.Message(role=pb.ROLE_USER, content="hello")])
    stub.AppendMessages(request, metadata=bearer(token), timeout=60)
    newest = api.ListMessagesRequest(session="s", newest_first=True, page_size=1)
    return stub.ListMessages(newest, metadata=bearer(token), timeout=60).messages[0].author


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "ada", "email": "ada@example.org"}, "ada"),
        ({"email": "ada@example.org"}, "ada@example.org"),
        ({"email": "ada@example.org", "email_verified": True}, "ada@example.org"),
        ({"email": "someone@else.example", "email_verified": False}, "42"),
        ({"preferred_username": "a\nb"}, "42"),
        ({"preferred_username": "", "sub": "7"}, "7"),
    ],
)
def test_the_name_is_the_first_that_the_provider_vouches_for(
    stub: SessionServiceStub, provider: OpenIdProvider, claims: dict[str, Any], name: str
) -> None:
    assert author(stub, provider.sign({"aichat_scopes": "write", **claims})) == name


@pytest.mark.parametrize(
    ("claims", "reads", "writes"),
    [
        ({}, False, False),
        ({"scope": "openid profile"}, False, False),
        ({"scope": "read write admin"}, False, False),
        ({"scope": "openid:admin otherwise:write"}, False, False),
        ({"scope": "openid aichat:read"}, True, False),
        ({"scp": ["aichat.write"]}, True, True),
        ({"aichat_scopes": ["read"]}, True, False),
        ({"aichat_scopes": "read write"}, True, True),
        ({"aichat_scopes": [], "scope": "aichat:admin"}, False, False),
        ({"aichat_scopes": {"admin": True}}, False, False),
        ({"aichat_scopes": ["admin", 5, None, "nonsense"]}, True, True),
    ],
)
def test_scopes_come_from_their_claims_and_without_them_nothing_is_permitted(
    stub: SessionServiceStub, provider: OpenIdProvider, claims: dict[str, Any], reads: bool, writes: bool
) -> None:
    token = provider.sign(claims)
    assert reason(stub, token) == ("" if reads else "SCOPE_MISSING")
    if writes:
        stub.CreateSession(api.CreateSessionRequest(), metadata=bearer(token))
    else:
        with fails() as failure:
            stub.CreateSession(api.CreateSessionRequest(), metadata=bearer(token))
        assert failure.reason == "SCOPE_MISSING"


@pytest.mark.parametrize("claim", [["team-*", "open"], "team-* open"])
def test_a_claim_restricts_the_sessions(stub: SessionServiceStub, provider: OpenIdProvider, claim: object) -> None:
    token = provider.sign({"aichat_scopes": "write", "aichat_sessions": claim})
    for name in ("team-a", "open"):
        stub.CreateSession(api.CreateSessionRequest(name=name, allow_existing=True), metadata=bearer(token))
    with fails() as failure:
        stub.CreateSession(api.CreateSessionRequest(name="elsewhere"), metadata=bearer(token))
    assert failure.reason == "SESSION_FORBIDDEN"


def forged(provider: OpenIdProvider, algorithm: str, secret: bytes) -> str:
    """A token that someone without the provider's key makes."""
    claims = {"iss": provider.issuer, "aud": AUDIENCE, "sub": "1", "exp": time.time() + 600, "aichat_scopes": "admin"}
    header = {"alg": algorithm, "typ": "JWT", "kid": provider.key_id}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signed = b".".join(parts)
    signature = hmac.new(secret, signed, hashlib.sha256).digest() if secret else b""
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def test_what_was_not_meant_for_this_service_or_not_signed_by_its_provider_is_refused(
    stub: SessionServiceStub, provider: OpenIdProvider
) -> None:
    good: dict[str, object] = {"aichat_scopes": "admin"}
    assert reason(stub, provider.sign(good)) == ""
    now = time.time()
    refused = {
        "another audience": provider.sign({**good, "aud": "other"}),
        "no audience": provider.sign({**good, "aud": None}),
        "another issuer": provider.sign({**good, "iss": "https://example.org"}),
        "no issuer": provider.sign({**good, "iss": None}),
        "expired": provider.sign(good, seconds=-60),
        "for ever": provider.sign({**good, "exp": None}),
        "not yet": provider.sign({**good, "nbf": now + 600}),
        "from the future": provider.sign({**good, "iat": now + 600}),
        "an odd expiry": provider.sign({**good, "exp": "soon"}),
        "an expiry beyond all numbers": provider.sign({**good, "exp": 10**400}),
        "no signature": forged(provider, "none", b""),
        "the public key as a secret": forged(provider, "HS256", provider.keys),
        "another algorithm": forged(provider, "ES256", b"x"),
        "a changed body": provider.sign(good).replace(".", ".e30", 1),
        "restricted, but to what": provider.sign({**good, "aichat_sessions": []}),
        "restricted to nonsense": provider.sign({**good, "aichat_sessions": {"a": 1}}),
        "nobody": provider.sign({**good, "sub": None}),
        "an odd key id": provider.sign(good, headers={"kid": "../../etc/passwd"}),
        "dots": "..",
        "no JSON": "a.b.c",
        "a deep header": base64.urlsafe_b64encode(b"[" * 6000).decode() + ".e30.",
    }
    assert {case: reason(stub, token) for case, token in refused.items()} == dict.fromkeys(refused, "TOKEN_INVALID")


def test_clocks_may_differ_a_little(stub: SessionServiceStub, provider: OpenIdProvider) -> None:
    assert reason(stub, provider.sign(READ, seconds=-5)) == ""
    assert reason(stub, provider.sign({**READ, "nbf": time.time() + 5})) == ""


def test_a_new_key_is_fetched_when_it_is_first_seen_and_made_up_ones_do_not_have_the_provider_asked_each_time(
    provider: OpenIdProvider,
) -> None:
    with (
        session_svc(OIDC_ISSUER=provider.issuer, OIDC_AUDIENCE=AUDIENCE) as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        stub = SessionServiceStub(channel)
        before = provider.sign(READ)
        assert reason(stub, before) == ""
        old = provider.key_id
        provider.rotate("second", curve=True)
        token = provider.sign(READ)
        until(lambda: reason(stub, token) == "", what="the new key is known")
        assert reason(stub, before) == "TOKEN_INVALID", "the old key was withdrawn"
        asked = provider.requests[KEYS_PATH]
        for number in range(50):
            made_up = provider.sign(READ, key_id=old, headers={"kid": f"made-up-{number}"})
            assert reason(stub, made_up) == "TOKEN_INVALID"
        assert provider.requests[KEYS_PATH] <= asked + 10


def test_while_the_provider_does_not_answer_known_keys_serve_and_others_are_to_be_tried_again(
    provider: OpenIdProvider,
) -> None:
    provider.answers = False
    try:
        with (
            session_svc(OIDC_ISSUER=provider.issuer, OIDC_AUDIENCE=AUDIENCE) as service,
            grpc.insecure_channel(service.address) as channel,
        ):
            stub = SessionServiceStub(channel)
            token = provider.sign(READ)
            with fails() as failure:
                stub.ListSessions(api.ListSessionsRequest(), metadata=bearer(token))
            assert (failure.status, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
            assert failure.retry_after
            assert "identity provider" in failure.text
            provider.answers = True
            until(lambda: reason(stub, token) == "", what="the provider's keys are known")
            provider.answers = False
            assert reason(stub, provider.sign(READ)) == ""
    finally:
        provider.answers = True


def test_keys_may_lie_in_a_file(provider: OpenIdProvider, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_bytes(provider.keys)
    issuer = "https://nowhere.invalid"
    with (
        session_svc(OIDC_ISSUER=issuer, OIDC_AUDIENCE=AUDIENCE, OIDC_JWKS=str(keys)) as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        assert reason(SessionServiceStub(channel), provider.sign({**READ, "iss": issuer})) == ""
