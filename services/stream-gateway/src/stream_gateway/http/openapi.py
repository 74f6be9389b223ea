"""The description at /openapi.json: every route, the ones that FastAPI does not serve included."""

from copy import deepcopy
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from stream_gateway.http import answers
from stream_gateway.http.answers import PROBLEM, SCHEMA, with_headers
from stream_gateway.http.bodies import MessagesBody, ProblemJson

_SCHEMES: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "Where the deployment has tokens"},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "ai-chat",
        "description": "Set by POST /sign-in; under TLS its name is __Host-ai-chat, or __Secure-ai-chat below a path",
    },
}
_READ: Final = [{"token": ["read"]}, {"cookie": ["read"]}]
_WRITE: Final = [{"token": ["write"]}, {"cookie": ["write"]}]
_OPEN: Final[list[dict[str, list[str]]]] = []
"""Whom a route answers: whoever has a token of that scope, or everybody."""
_HTML: Final = {"description": "The web page", "content": {"text/html": {}}}
_PAGE: Final = {
    "200": with_headers(_HTML, "ETag"),
    "303": with_headers({"description": "To the sign-in page, where tokens are needed and none was sent"}, "Location"),
    "304": with_headers({"description": "It is the one that If-None-Match names"}, "ETag"),
    "default": PROBLEM,
}
_JSON: Final[dict[str, Any]] = {"content": {"application/json": {}}}
_SIGN_IN: Final = {
    "type": "object",
    "required": ["token"],
    "properties": {"token": {"type": "string"}, "next": {"type": "string"}},
}
_SIGN_IN_REFUSED: Final = {
    "description": "The page again, with what was wrong; a problem where the request is no form of ours",
    "content": {"text/html": {}, **PROBLEM["content"]},
}
_NAME: Final = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
_IF_NONE_MATCH: Final = {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}}


def _query(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "string"}, "description": description}


_OTHER_ROUTES: Final[dict[str, Any]] = {
    "/": {"get": {"summary": "The web page", "parameters": [_IF_NONE_MATCH], "responses": _PAGE, "security": _OPEN}},
    "/s/{name}": {
        "get": {
            "summary": "The web page at one session",
            "parameters": [_NAME, _IF_NONE_MATCH],
            "responses": _PAGE,
            "security": _OPEN,
        }
    },
    "/sign-in": {
        "get": {
            "summary": "Where a person gives a token; 404 where the deployment has none",
            "parameters": [_query("next", "Where to go then: empty, or s/<name>")],
            "responses": {"200": _HTML, "default": PROBLEM},
            "security": _OPEN,
        },
        "post": {
            "summary": "Keeps the token in a cookie; only from that page",
            "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": _SIGN_IN}}},
            "responses": {
                "303": with_headers({"description": "To where one wanted to go"}, "Location", "Set-Cookie"),
                "401": with_headers(_SIGN_IN_REFUSED, "WWW-Authenticate"),
                "429": with_headers(_SIGN_IN_REFUSED, "Retry-After"),
                "503": with_headers(_SIGN_IN_REFUSED, "Retry-After"),
                "default": _SIGN_IN_REFUSED,
            },
            "security": _OPEN,
        },
    },
    "/sign-out": {
        "post": {
            "summary": "Forgets the cookie; only from our own pages",
            "responses": {
                "303": with_headers({"description": "To the sign-in page"}, "Location", "Set-Cookie"),
                "default": PROBLEM,
            },
            "security": _OPEN,
        }
    },
    "/openapi.json": {
        "get": {
            "summary": "This description",
            "responses": {"200": {"description": "OpenAPI"} | _JSON, "default": PROBLEM},
            "security": _OPEN,
        }
    },
    "/api/stream": {
        "get": {
            "security": _READ,
            "summary": "What happens in a session and to the list, as server-sent events",
            "description": "`id:` is the position, on frames safe to resume from; Last-Event-ID wins over `after`.",
            "parameters": [
                _query("session", "The session to follow; it need not exist. Required without `list`"),
                _query("list", "1: also changes to the list, as `session` {change, session}"),
                _query(
                    "after", "The position after which to begin; empty: with the first message; absent: at the head"
                ),
                {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}},
            ],
            "responses": {"200": {"description": "Events", "content": {"text/event-stream": {}}}, "default": PROBLEM},
        }
    },
    "/healthz": {
        "get": {
            "summary": "Whether the process lives",
            "responses": {"200": {"description": "It does"} | _JSON, "default": PROBLEM},
            "security": _OPEN,
        }
    },
    "/readyz": {
        "get": {
            "security": _OPEN,
            "summary": "Whether it can serve",
            "responses": {
                "200": {"description": "It can"} | _JSON,
                "503": {"description": "Something is out of reach"} | _JSON,
                "default": PROBLEM,
            },
        }
    },
}


def describe(app: FastAPI) -> None:
    """Makes `app` describe itself, its refusals, and the routes beside it."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the description.


def _describe(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, routes=app.routes, servers=[{"url": "."}])
    _, definitions = models_json_schema(
        [(ProblemJson, "serialization"), (MessagesBody, "validation")], ref_template=SCHEMA
    )
    schemas = schema["components"]["schemas"]
    schemas |= definitions["$defs"]
    for leftover in ("HTTPValidationError", "ValidationError"):
        schemas.pop(leftover, None)
    schema["components"]["securitySchemes"] = _SCHEMES
    for operations in schema["paths"].values():
        for method, operation in operations.items():
            operation["security"] = _READ if method == "get" else _WRITE
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = PROBLEM
    schema["paths"] |= deepcopy(_OTHER_ROUTES)
    answers.complete(schema)
    return schema
