"""The headers of answers, and the refusals that have some, as the API's description tells of them."""

from typing import Any, Final

from stream_gateway.http.edge import API, HEALTH_PATHS
from stream_gateway.http.problems import MEDIA_TYPE

SCHEMA: Final = "#/components/schemas/{model}"
PROBLEM: Final[dict[str, Any]] = {
    "description": "Refused; `reason` says why",
    "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMA.format(model="ProblemJson")}}},
}
_HEADER: Final = "#/components/headers/{name}"
_RESPONSE: Final = "#/components/responses/{name}"
_REQUEST_ID: Final = "X-Request-Id"


def _header(
    description: str, kind: str = "string", *, required: bool = True, **more: int | list[str]
) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": {"type": kind, **more}}


_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "ETag": _header("Of this version of the page, for If-None-Match"),
    "Link": _header('What comes next (`rel="next"`) or before (`rel="prev"`), if there is more', required=False),
    "Location": _header("Where it is, relative to this address"),
    "Retry-After": _header("Seconds after which to try again", "integer", minimum=1),
    "Session-Position": _header(
        "The position of the session's last message, for If-Match; empty where there is no session"
    ),
    "Set-Cookie": _header("The cookie that keeps the token, or forgets it"),
    "WWW-Authenticate": _header("How to send a token", enum=["Bearer"]),
    _REQUEST_ID: _header("The logs know the request by it; absent where its head could not be read", required=False),
}


def with_headers(response: dict[str, Any], *names: str) -> dict[str, Any]:
    """The description of a response that has these headers."""
    headers = {name: {"$ref": _HEADER.format(name=name)} for name in names}
    return {**response, "headers": {**response.get("headers", {}), **headers}}


NO_SESSION: Final = with_headers(PROBLEM, "Session-Position") | {"description": "There is no such session"}
_REFUSALS: Final = {
    "Unauthenticated": with_headers(PROBLEM, "WWW-Authenticate") | {"description": "Without a good token"},
    "Conflict": with_headers(PROBLEM, "Session-Position") | {"description": "The head is elsewhere by now"},
    "TooMuch": with_headers(PROBLEM, "Retry-After") | {"description": "More than one may have, or there is room for"},
    "Unavailable": with_headers(PROBLEM, "Retry-After") | {"description": "Something is out of reach, or stopping"},
}


def complete(schema: dict[str, Any]) -> None:
    """Adds to a description what answers of many routes have in common."""
    refusals = {name: with_headers(refusal, _REQUEST_ID) for name, refusal in _REFUSALS.items()}
    schema["components"] |= {"headers": _HEADERS, "responses": refusals}
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            told = {status: with_headers(answer, _REQUEST_ID) for status, answer in operation["responses"].items()}
            names = _refusals_of(path, operation)
            refused = {status: {"$ref": _RESPONSE.format(name=name)} for status, name in names.items()}
            operation["responses"] = refused | told


def _refusals_of(path: str, operation: dict[str, Any]) -> dict[str, str]:
    if path.startswith(API):
        parameters = {parameter["name"] for parameter in operation.get("parameters", ())}
        at_a_position = {"412": "Conflict"} if parameters & {"before", "if-match"} else {}
        return {"401": "Unauthenticated", "429": "TooMuch", "503": "Unavailable", **at_a_position}
    return {} if path in HEALTH_PATHS else {"429": "TooMuch"}
