"""Signing in: a page on which a person gives a token, and the cookie that keeps it."""

import re
from html import escape
from importlib.resources import files
from typing import Final
from urllib.parse import parse_qs, quote

from ai_chat_client import AsyncClient, context
from ai_chat_client.errors import AiChatError
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from stream_gateway.http.credentials import MAX_KEPT, Cookie, is_token
from stream_gateway.http.edge import SIGN_IN, SIGN_OUT, VISITOR, Receive, Scope, Send
from stream_gateway.http.guard import Guard
from stream_gateway.http.problems import CHALLENGE, Problem, from_error
from stream_gateway.http.visitor import Visitor

MAX_FORM_BYTES: Final = 16 * 1024
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
FORM: Final = "application/x-www-form-urlencoded"
_PAGES: Final = re.compile(r"(?:s/[A-Za-z0-9._~!$&'()*+,;=:@%-]{1,1000})?")
"""Where one may want to go: the page, or one session's. Nothing that leads elsewhere has this form."""
_TOO_LONG: Final = "This is too long for a browser to keep: ask for a token of this server instead."
_UNKNOWN: Final = "This token is not known here, or it has expired or been revoked."


class SignIn:
    """`GET /sign-in?next=`, `POST /sign-in` (token, next), `POST /sign-out`.

    session-svc says whether the token is good. Both writes must come from our own page: nobody may be signed in as
    somebody else by a link.
    """

    def __init__(self, client: AsyncClient, cookie: Cookie, guard: Guard) -> None:
        self._client = client
        self._cookie = cookie
        self._guard = guard
        self._template = (files("stream_gateway.http") / "sign_in.html").read_text(encoding="utf-8")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._answer(scope["path"], request, scope[VISITOR])
        await response(scope, receive, send)

    async def _answer(self, path: str, request: Request, visitor: Visitor) -> Response:
        if request.method == "POST":
            self._guard.check_origin(visitor, request.headers)
            return await self._sign_in(request, visitor) if path == SIGN_IN else self._sign_out(visitor)
        if path == SIGN_OUT:
            raise Problem(405, "METHOD_NOT_ALLOWED", "only POST", headers={"allow": "POST"})
        if request.method not in ("GET", "HEAD"):
            raise Problem(405, "METHOD_NOT_ALLOWED", "only GET and POST", headers={"allow": "GET, HEAD, POST"})
        return self._page(QueryParams(request.scope["query_string"]).get("next", ""))

    async def _sign_in(self, request: Request, visitor: Visitor) -> Response:
        fields = await _form(request)
        token, wanted = fields.get("token", "").strip(), fields.get("next", "")
        try:
            if not is_token(token) or len(token) > MAX_KEPT:
                return self._page(wanted, 401, _TOO_LONG if len(token) > MAX_KEPT else _UNKNOWN, CHALLENGE)
            context.token.set(token)
            await self._client.list_sessions(page_size=1)
        except AiChatError as error:
            problem = from_error(error)
            text = _UNKNOWN if problem.status == 401 else f"This did not work: {problem.detail}."
            return self._page(wanted, problem.status, text, problem.headers)
        target = wanted if _PAGES.fullmatch(wanted) else ""
        return Response(status_code=303, headers=self._moved(f"./{target}", self._cookie.kept(visitor, token)))

    def _sign_out(self, visitor: Visitor) -> Response:
        return Response(status_code=303, headers=self._moved("sign-in", self._cookie.forgotten(visitor)))

    @staticmethod
    def _moved(location: str, cookie: str) -> dict[str, str]:
        return {"location": location, "set-cookie": cookie, "cache-control": "no-store"}

    def _page(
        self, wanted: str, status: int = 200, problem: str = "", headers: dict[str, str] | None = None
    ) -> Response:
        text = self._template
        for name, value in {
            "__MAX_TOKEN__": str(MAX_KEPT),
            "__NEXT__": wanted if _PAGES.fullmatch(wanted) else "",
            "__PROBLEM__": problem,
        }.items():
            text = text.replace(name, escape(value))
        return Response(
            text,
            status,
            {
                **(headers or {}),
                "cache-control": "no-store",
                "content-security-policy": POLICY,
                # With no-referrer a browser would send the form with the Origin "null".
                "referrer-policy": "same-origin",
                "cross-origin-opener-policy": "same-origin",
            },
            "text/html; charset=utf-8",
        )


def to_sign_in(path: str) -> Response:
    """Sends whoever wants a page without a token to sign in first, and back to that page then."""
    wanted = path.removeprefix("/")
    up = "../" if "/" in wanted else ""
    query = f"?next={quote(wanted, safe='')}" if wanted else ""
    return Response(status_code=303, headers={"location": f"{up}sign-in{query}", "cache-control": "no-store"})


async def _form(request: Request) -> dict[str, str]:
    """The fields of the form, the last of each name. Raises Problem when it is none."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Problem(415, "INVALID_FIELD", f"send the form as {FORM}")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise Problem(413, "TOO_LARGE", f"the form is larger than {MAX_FORM_BYTES} bytes")
    try:
        fields = parse_qs(body.decode(), max_num_fields=10, encoding="utf-8", errors="strict")
    except ValueError:
        raise Problem(400, "INVALID_FIELD", "the form cannot be read") from None
    return {name: values[-1] for name, values in fields.items()}
