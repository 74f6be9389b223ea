"""Every token at every route of the description: who is answered, who is refused, and that no route was forgotten."""

import datetime as dt
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from integration.gateway.conftest import Secured
from session_svc.identity.token_file import ScopeName
from support.until import until

SCOPES: tuple[ScopeName, ...] = ("read", "write", "admin")
RANKS = {scope: rank for rank, scope in enumerate(SCOPES, 1)}
INSIDE, OUTSIDE = "team-matrix", "other-matrix"
BODIES: dict[str, Any] = {
    "post /api/sessions/{name}/messages": {"messages": [{"role": "user", "content": "m"}]},
    "post /api/sessions/{name}/truncate": {"removeLast": 1},
}
"""Where `{}` is no body that is understood. A new route that is missing here fails, because 400 is no refusal."""


@dataclass(frozen=True)
class Bearer:
    """A token to try. `rank`: of its scope; 0: it is good for nothing. `everywhere`: for all sessions, else team-*."""

    token: str | None
    rank: int = 0
    everywhere: bool = False


@dataclass(frozen=True)
class Operation:
    """A route with a method, and the scope that the description says it takes; None: everybody is answered."""

    method: str
    path: str
    scope: str | None
    parameters: frozenset[str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@pytest.fixture(scope="module")
def bearers(secured: Secured) -> dict[str, Bearer]:
    add = secured.tokens.add
    found = {
        "nobody": Bearer(None),
        "unknown": Bearer("aichat_unknown"),
        "expired": Bearer(add("expired", scopes=["admin"], expires=dt.timedelta(seconds=-1))),
    }
    for scope, everywhere in itertools.product(SCOPES, (False, True)):
        name = f"{scope}-{'all' if everywhere else 'team'}"
        token = add(name, scopes=SCOPES[: RANKS[scope]], sessions=None if everywhere else ["team-*"])
        found[name] = Bearer(token, RANKS[scope], everywhere)

    def is_known(bearer: Bearer) -> bool:
        headers = {"authorization": f"Bearer {bearer.token}"}
        return httpx.get(f"{secured.base}/api/sessions", headers=headers).status_code == 200

    until(lambda: all(is_known(bearer) for bearer in found.values() if bearer.rank), what="the new tokens")
    return found


@pytest.fixture(scope="module")
def operations(secured: Secured) -> list[Operation]:
    """Read from the description, so that a route is tried because it exists."""
    paths = httpx.get(f"{secured.base}/openapi.json").json()["paths"]
    return [
        Operation(
            method,
            path,
            next((scope for kind in description["security"] for scope in kind.get("token", ())), None),
            frozenset(parameter["name"] for parameter in description.get("parameters", ())),
        )
        for path, methods in paths.items()
        for method, description in methods.items()
    ]


def ask(
    client: httpx.Client, operation: Operation, session: str, token: str | None, *, cookie: bool
) -> tuple[int, str]:
    """The status of one request, and the reason of a refusal."""
    headers = {"origin": str(client.base_url).rstrip("/")} if cookie else {}
    if token:
        headers |= {"cookie": f"ai-chat={token}"} if cookie else {"authorization": f"Bearer {token}"}
    body = BODIES.get(str(operation), {"name": session} if str(operation) == "post /api/sessions" else {})
    with client.stream(
        operation.method,
        operation.path.replace("{name}", quote(session, safe="")),
        params={"session": session} if "session" in operation.parameters else {},
        json=None if operation.method == "get" else body,
        headers=headers,
    ) as answer:
        if answer.headers.get("content-type") != "application/problem+json":
            return answer.status_code, ""
        return answer.status_code, str(json.loads(answer.read())["reason"])


def refusal(operation: Operation, bearer: Bearer, session: str) -> tuple[int, str] | None:
    """What has to be said; None: anything but a refusal of the token."""
    if operation.scope is None:
        return None
    if bearer.token is None:
        return 401, "TOKEN_MISSING"
    if not bearer.rank:
        return 401, "TOKEN_INVALID"
    if bearer.rank < RANKS[operation.scope]:  # type: ignore[index]  # Another scope than ours fails here, as it should.
        return 403, "SCOPE_MISSING"
    names_a_session = bool(operation.parameters & {"name", "session"}) or str(operation) == "post /api/sessions"
    if names_a_session and session == OUTSIDE and not bearer.everywhere:
        return 403, "SESSION_FORBIDDEN"
    return None


def attempts(operations: list[Operation], bearers: dict[str, Bearer]) -> Iterator[tuple[Operation, str, str, bool]]:
    """Everything that can be tried."""
    for operation in operations:
        yield from itertools.product([operation], bearers, (INSIDE, OUTSIDE), (True, False))


def test_every_route_says_whom_it_answers(operations: list[Operation]) -> None:
    guarded = {str(operation) for operation in operations if operation.scope}

    assert guarded == {str(operation) for operation in operations if operation.path.startswith("/api/")}
    assert {operation.method for operation in operations if operation.scope == "read"} == {"get"}


def test_every_token_is_answered_or_refused_at_every_route_as_described(
    secured: Secured, operations: list[Operation], bearers: dict[str, Bearer]
) -> None:
    wrong, tried = [], 0
    with httpx.Client(base_url=secured.base) as client:
        for operation, name, session, cookie in attempts(operations, bearers):
            status, reason = ask(client, operation, session, bearers[name].token, cookie=cookie)
            expected = refusal(operation, bearers[name], session)
            tried += 1
            permitted = status < 500 and not reason.startswith(("TOKEN_", "SCOPE_", "SESSION_FORBIDDEN"))
            if (status, reason) != expected if expected else not permitted:
                wrong.append(f"{operation} {session} by {name} ({'cookie' if cookie else 'header'}): {status} {reason}")

    assert not wrong, "\n".join(wrong)
    assert tried == len(operations) * len(bearers) * 4
