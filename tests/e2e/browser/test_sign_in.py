"""Where tokens are needed: signing in, being sent to sign in again with everything that was typed, signing out."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from ai_chat_client import Client
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # It ships no types.
from playwright.sync_api import Page, expect
from support.processes import gateway, session_svc
from support.proxies import Proxy
from support.tokens import TokensFile
from support.visit import Opener


class Team:
    """A deployment that asks who somebody is, `proxy`: under a path. `page`: its address; `ada`: a person's token."""

    def __init__(self, folder: Path, stack: ExitStack, proxy: Proxy | None = None) -> None:
        self.tokens = TokensFile(folder / "tokens.json")
        self.ada = self.tokens.add("ada")
        own = self.tokens.add("gateway", scopes=["read"])
        known = str(self.tokens.path)
        svc = stack.enter_context(session_svc(AUTH_TOKENS_FILE=known))
        public = {"PUBLIC_URL": f"{proxy.url}/chat/", "TRUSTED_PROXIES": "127.0.0.1,::1"} if proxy else {}
        settings = {"AUTH_TOKENS_FILE": known, "GATEWAY_TOKEN": own, **public}
        web = stack.enter_context(gateway(svc.address, until="ready", **settings))
        self.page = public.get("PUBLIC_URL", f"http://{web.address}/")
        if proxy:
            proxy.configure("nginx-path.conf", {"127.0.0.1:3000": web.address})
            stack.enter_context(proxy)
        self.client = stack.enter_context(Client(svc.address, token=self.ada))


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with ExitStack() as stack:
        yield Team(tmp_path_factory.mktemp("team"), stack)


@pytest.fixture
def team_under_a_path(tmp_path: Path) -> Iterator[Team]:
    with ExitStack() as stack:
        yield Team(tmp_path, stack, Proxy("nginx"))


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_whoever_signs_in_comes_to_the_session_and_writes_under_the_tokens_name(team: Team, visit: Opener) -> None:
    team.client.create_session("plans")
    page = visit("s/plans", base=team.page)
    assert Axe().run(page).response["violations"] == []
    sign_in(page, team.ada)
    expect(page.get_by_role("heading", level=1)).to_have_text("plans")
    expect(page.get_by_role("button", name="Add your name")).to_have_count(0)
    page.get_by_label("Message", exact=True).fill("what next?")
    page.keyboard.press("Enter")
    expect(page.locator("#messages .author")).to_have_text("ada")
    expect(page.locator("#messages .prose")).to_have_text("what next?")
    assert Axe().run(page).response["violations"] == []


def test_a_token_that_ends_leads_to_signing_in_and_back_to_what_was_typed(team: Team, visit: Opener) -> None:
    brief = team.tokens.add("brief")
    team.client.create_session("kept")
    page = visit("s/kept", base=team.page)
    sign_in(page, brief)
    page.get_by_label("Message", exact=True).fill("half a thought")
    team.tokens.revoke("brief")
    expect(page.get_by_label("Token")).to_be_visible()
    sign_in(page, team.ada)
    expect(page.get_by_role("heading", level=1)).to_have_text("kept")
    expect(page.get_by_label("Message", exact=True)).to_have_value("half a thought")


def test_after_signing_out_the_browser_knows_nothing(team: Team, visit: Opener) -> None:
    team.client.create_session("left")
    page = visit("s/left", base=team.page)
    sign_in(page, team.ada)
    page.get_by_label("Message", exact=True).fill("a secret")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    assert page.evaluate("Object.keys(localStorage)") == []
    assert page.context.cookies() == []


def test_under_a_path_of_another_site_one_signs_in_there_writes_and_signs_out(
    team_under_a_path: Team, visit: Opener
) -> None:
    team = team_under_a_path
    team.client.create_session("plans")
    page = visit("s/plans", base=team.page, context={"ignore_https_errors": True})
    expect(page).to_have_url(f"{team.page}sign-in?next=s%2Fplans")
    sign_in(page, team.ada)
    expect(page).to_have_url(f"{team.page}s/plans")
    page.get_by_label("Message", exact=True).fill("what next?")
    page.keyboard.press("Enter")
    expect(page.locator("#messages .author")).to_have_text("ada")
    (cookie,) = page.context.cookies()
    assert (cookie["path"], cookie["secure"], cookie["httpOnly"]) == ("/chat", True, True)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    expect(page).to_have_url(f"{team.page}sign-in?next=s%2Fplans")
    assert page.context.cookies() == []
