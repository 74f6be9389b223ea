"""The JSON part: FastAPI for the routes, their checks and their description."""

from typing import Final

from ai_chat_client import AsyncClient
from ai_chat_client.errors import AiChatError
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from stream_gateway.http.bodies import MAX_BODY_BYTES
from stream_gateway.http.body_limit import BodyLimit
from stream_gateway.http.edge import App
from stream_gateway.http.openapi import describe
from stream_gateway.http.problems import Problem, from_error
from stream_gateway.http.quotas import Quotas
from stream_gateway.http.sessions import SessionRoutes

_REASONS: Final = {
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "TOO_SLOW",
    413: "TOO_LARGE",
    429: "RATE_LIMITED",
}
_DETAILS: Final = {404: "there is nothing here", 413: f"the body is larger than {MAX_BODY_BYTES} bytes"}


def json_api(client: AsyncClient, quotas: Quotas) -> App:
    """The application behind `/api/sessions` and `/openapi.json`."""
    app = FastAPI(
        title="ai-chat",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.include_router(SessionRoutes(client).router)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(AiChatError, _session_svc_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
    describe(app)
    return BodyLimit(app, quotas)


async def _problem(request: Request, error: Exception) -> Response:
    return _tell(request, error) if isinstance(error, Problem) else _defect()


async def _session_svc_error(request: Request, error: Exception) -> Response:
    return _tell(request, from_error(error)) if isinstance(error, AiChatError) else _defect()


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        return _defect()
    errors = [
        {"field": ".".join(str(step) for step in item["loc"][1:]) or str(item["loc"][0]), "problem": item["msg"]}
        for item in error.errors()
    ]
    detail = "; ".join(f"{item['field']}: {item['problem']}" for item in errors)
    return _tell(request, Problem(400, "INVALID_FIELD", detail, facts={"errors": errors}))


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return _defect()
    status = error.status_code
    detail = _DETAILS.get(status, str(error.detail))
    return _tell(request, Problem(status, _REASONS.get(status, "INVALID_FIELD"), detail, headers=error.headers))


async def _unexpected(request: Request, error: Exception) -> Response:
    del request, error  # Starlette raises it again after this, and the edge logs it.
    return _defect()


def _tell(request: Request, problem: Problem) -> Response:
    response = problem.response()
    if problem.status == 404 and request.url.path.endswith("/messages"):
        response.headers["session-position"] = ""
    return response


def _defect() -> Response:
    return Problem(500, "INTERNAL", "something went wrong; the log has the details").response()
