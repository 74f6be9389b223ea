"""`session-svc token`: the tokens of a running service, from the command line."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub
from integration.session_svc.failures import fails
from support.processes import session_svc
from support.tokens import bearer
from support.until import until


def token(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "session_svc", "token", *arguments],
        env={"PATH": os.environ["PATH"], "AUTH_TOKENS_FILE": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_token_is_made_listed_and_revoked_while_the_service_runs(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    with session_svc(AUTH_TOKENS_FILE=str(path)) as service, grpc.insecure_channel(service.address) as channel:
        made = token(path, "create", "ada", "--scope", "read", "--session", "team-*", "--expires", "90d")
        assert made.returncode == 0
        [secret] = made.stdout.split()
        assert secret not in made.stderr
        assert secret not in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o600
        listing = api.ListSessionsRequest()

        def accepted() -> bool:
            try:
                SessionServiceStub(channel).ListSessions(listing, metadata=bearer(secret))
            except grpc.RpcError:
                return False
            return True

        until(accepted, what="the token works")
        listed = token(path, "list").stdout
        assert "ada: read; sessions team-*; until 2" in listed
        assert secret not in listed
        assert token(path, "revoke", "ada").returncode == 0
        until(lambda: not accepted(), what="the token is revoked")
        with fails() as failure:
            SessionServiceStub(channel).ListSessions(listing, metadata=bearer(secret))
        assert failure.reason == "TOKEN_INVALID"
    assert token(path, "list").stdout == ""


def test_tokens_made_at_once_are_all_kept_and_one_of_a_name_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda _: token(path, "create", "ada"), range(4)))
    assert len({result.stdout for result in made}) == 4
    entries = json.loads(path.read_text())["tokens"]
    assert len(entries) == 4
    assert {tuple(entry["scopes"]) for entry in entries} == {("read", "write")}
    oldest = token(path, "list").stdout.split()[0]
    assert token(path, "revoke", "ada", "--id", oldest).returncode == 0
    assert len(token(path, "list").stdout.splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["create", "a\nb"], 2, "name"),
        (["create", "x" * 257], 2, "name"),
        (["create", "ada", "--expires", "soon"], 2, "90d"),
        (["create", "ada", "--scope", "all"], 2, "admin"),
        (["revoke", "nobody"], 1, "token list"),
        ([], 2, "create"),
    ],
)
def test_what_cannot_be_done_says_why_and_changes_nothing(
    tmp_path: Path, arguments: list[str], status: int, says: str
) -> None:
    path = tmp_path / "tokens.json"
    refused = token(path, *arguments)
    assert (refused.returncode, refused.stdout) == (status, "")
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    ['{"tokens": [', "[]", '{"tokens": [{"name": "ada"}]}', '{"token": []}', '{"tokens": [{"sha256": "SECRET"}]}'],
)
def test_a_file_that_is_no_list_of_tokens_is_neither_edited_nor_served_and_never_shown(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(content)
    served = subprocess.run(
        [sys.executable, "-m", "session_svc"],
        env={"PATH": os.environ["PATH"], "AUTH_TOKENS_FILE": str(path), "REDIS_ENABLED": "false"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    for refused, status in ((served, 2), (token(path, "create", "ada"), 1)):
        assert refused.returncode == status
        assert str(path) in refused.stderr
        assert "SECRET" not in refused.stderr
        assert "Traceback" not in refused.stderr
    assert path.read_text() == content
