"""The assistant with a token, before a service that asks for one and speaks TLS."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ai_chat_client import ROLE_USER, AsyncClient, Message
from support.certificates import Authority
from support.processes import Service, session_svc
from support.tokens import TokensFile
from support.until import until

from .conftest import Asker
from .program import AssistantProcess, run


@dataclass(frozen=True)
class Secured:
    """A service that asks for tokens, with a certificate of `authority`."""

    svc: Service
    authority: Authority
    assistants: Path
    askers: str

    @property
    def url(self) -> str:
        return f"https://{self.svc.address}"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority, tokens, token = Authority(folder), TokensFile(folder / "tokens.json"), folder / "token"
    token.write_text(tokens.add("robot"))
    asker = tokens.add("anna")
    files = {"TLS_CERT": authority.cert, "TLS_KEY": authority.key, "AUTH_TOKENS_FILE": tokens.path}
    with session_svc(until="listening", **{name: str(file) for name, file in files.items()}) as svc:
        yield Secured(svc, authority, token, asker)


def environment(secured: Secured, **more: str) -> dict[str, str]:
    return {
        "ASSISTANT_NAME": "marvin",
        "ASSISTANT_TOKEN_FILE": str(secured.assistants),
        "SESSION_SVC_TLS_CA": str(secured.authority.ca),
        **more,
    }


async def test_it_answers_under_the_name_of_its_token(secured: Secured, name: str) -> None:
    async with AsyncClient(secured.url, token=secured.askers, tls_ca=secured.authority.ca) as client:
        await client.create_session(name, labels={"assistant": "marvin"})
        asker = Asker(client)
        with AssistantProcess(secured.svc.address, environment(secured)):
            await client.append_messages(name, [Message(role=ROLE_USER, content="Hello?")])
            answer = await asker.answer(name)
    assert (answer.author, answer.model) == ("robot", "echo")


def test_a_token_that_is_refused_is_said(secured: Secured) -> None:
    refused = environment(secured, ASSISTANT_TOKEN="wrong")
    del refused["ASSISTANT_TOKEN_FILE"]
    assert run("health", SESSION_SVC_ADDRESS=secured.svc.address, **environment(secured))[0] == 0
    status, said = run("health", SESSION_SVC_ADDRESS=secured.svc.address, **refused)
    assert (status, "token" in said) == (1, True)
    with AssistantProcess(secured.svc.address, refused, wait=False) as assistant:
        until(lambda: "TOKEN_INVALID" in assistant.log, what="the reason in the log")
