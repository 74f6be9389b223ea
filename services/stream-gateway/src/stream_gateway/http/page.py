"""The web page and its files: read once, served from memory, each with an ETag."""

import hashlib
import mimetypes
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from stream_gateway.http.credentials import Cookie, credential_of
from stream_gateway.http.edge import VISITOR, Receive, Scope, Send
from stream_gateway.http.guard import Guard
from stream_gateway.http.names import decode_segment
from stream_gateway.http.problems import Problem
from stream_gateway.http.sign_in import to_sign_in
from stream_gateway.http.visitor import Visitor
from stream_gateway.settings import GatewaySettings

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'; "
    # Whatever turns text into markup must have gone through DOMPurify; the browser itself sees to it.
    "require-trusted-types-for 'script'; trusted-types dompurify"
)
STATIC: Final = "/static/"
SESSION: Final = "/s/"
PAGE: Final = "index.html"
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent."""

    body: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, body: bytes, name: str) -> "Asset":
        """An asset of the type that the name's ending says."""
        ending = name[name.rfind(".") :]
        media_type = _TYPES.get(ending) or mimetypes.guess_type(name)[0] or "text/plain; charset=utf-8"
        return cls(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


class WebPage:
    """`/` and `/s/<name>`: the page, filled in; `/static/...`: the files beside it. No other path leads to a file.

    PUBLIC_URL without its last slash leads to the page. Without a token, where one is needed, whoever wants the page is
    sent to sign in. The files are no secret.
    """

    def __init__(
        self, settings: GatewaySettings, guard: Guard, cookie: Cookie, folder: Traversable | None = None
    ) -> None:
        self._guard = guard
        self._cookie = cookie
        self._folder = settings.path_prefix.rpartition("/")[2]
        self._tokens_required = settings.tokens_required
        self._grpc_address = settings.public_grpc_address
        self._stream_enabled = settings.web_stream_enabled
        self._assets = dict(_read(folder or files("stream_gateway") / "web", ""))
        page = self._assets.pop(PAGE, None)
        self._template = page.body.decode() if page else ""
        self._pages: dict[tuple[str, bool], Asset] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        if not scope["path"]:
            # Links of the page are relative, and would lead beside PUBLIC_URL.
            await Response(None, 308, {"location": f"./{self._folder}/"})(scope, receive, send)
            return
        asset = self._find(scope["path"], scope[VISITOR])
        if asset is None:
            raise Problem(404, "NOT_FOUND", f"there is nothing at {scope['path']}")
        if request.method not in ("GET", "HEAD"):
            raise Problem(405, "METHOD_NOT_ALLOWED", "only GET", headers={"allow": "GET, HEAD"})
        if not scope["path"].startswith(STATIC) and not self._is_signed_in(Headers(scope=scope), scope[VISITOR]):
            await to_sign_in(scope["path"])(scope, receive, send)
            return
        headers = {
            "etag": asset.etag,
            # Always asked for again, answered with 304: after an upgrade nobody mixes old files with new ones.
            "cache-control": "no-cache",
            "content-security-policy": POLICY,
            "cross-origin-opener-policy": "same-origin",
        }
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if asset.etag in known or known == ["*"]:
            response = Response(None, 304, headers)
        else:
            response = Response(asset.body, 200, headers, asset.media_type)
        await response(scope, receive, send)

    def _is_signed_in(self, headers: Headers, visitor: Visitor) -> bool:
        """Whether the request brings what may be a token, or cannot say; the page itself will hear if there is none.

        A browser that follows another site's link to us keeps the cookie back, because that is SameSite=Strict.
        """
        if not self._tokens_required or headers.get("sec-fetch-site", "") in ("cross-site", "same-site"):
            return True
        try:
            return credential_of(headers, visitor, self._cookie) is not None
        except Problem:
            return False

    def _find(self, path: str, visitor: Visitor) -> Asset | None:
        if path == "/":
            return self._page("./", visitor)
        if path.startswith(SESSION) and "/" not in path.removeprefix(SESSION):
            decode_segment(path.removeprefix(SESSION))
            return self._page("../", visitor)
        return self._assets.get(path.removeprefix(STATIC)) if path.startswith(STATIC) else None

    def _page(self, base: str, visitor: Visitor) -> Asset | None:
        if not self._template:
            return None
        key = (base, self._guard.may_write(visitor))
        if key not in self._pages:
            text = self._template
            for name, value in {
                "__BASE_HREF__": base,
                "__PUBLIC_GRPC_ADDRESS__": self._grpc_address,
                "__WRITE_ENABLED__": str(key[1]).lower(),
                "__STREAM_ENABLED__": str(self._stream_enabled).lower(),
                "__SIGN_IN_ENABLED__": str(self._tokens_required).lower(),
            }.items():
                text = text.replace(name, escape(value))
            self._pages[key] = Asset.of(text.encode(), PAGE)
        return self._pages[key]


def _read(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found = []
    for item in folder.iterdir():
        name = prefix + item.name
        if item.is_dir():
            found += _read(item, name + "/")
        elif not item.name.startswith((".", "__")):
            found.append((name, Asset.of(item.read_bytes(), item.name)))
    return found
