"""Every route does what /openapi.json says of it, asked as it wants to be and as it does not."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from integration.gateway.conftest import Secured
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.schemas import APIOperation

EXAMPLES: Final = 6
"""For each operation, each way."""

ENDLESS: Final = "/api/stream"
"""Its answer has no end; test_stream.py and test_fuzz.py look at it."""

TAKES_ANYTHING: Final = frozenset({"/", "/s/{name}", "/sign-out", "/openapi.json", "/healthz", "/readyz"})
"""Nothing that is sent to these contradicts their description."""

ALLOWED_5XX: Final = frozenset({501, 503})

OF_USE: Final = frozenset(
    {"etag", "link", "location", "retry-after", "session-position", "set-cookie", "www-authenticate",
     "x-request-id"}
)  # fmt: skip
"""Headers by which clients go on: none comes unannounced."""

load_all_checks()
PROMISES: Final = [
    CHECKS.get_one(name)
    for name in (
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    )
]


@pytest.fixture(params=["with a token", "without one"])
def session(request: pytest.FixtureRequest, secured: Secured) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["origin"] = secured.base
        if request.param == "with a token":
            session.headers["authorization"] = f"Bearer {secured.root}"
        yield session


def announced(operation: APIOperation[Any, Any, Any, Any], status: int) -> set[str]:
    """The headers that the description tells of, in lower case."""
    described = operation.responses.find_by_status_code(status)
    return {name.lower() for name, _ in described.headers.items()} if described else set()


def ask(
    operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, base: str, session: requests.Session
) -> Counter[int]:
    """Asks `operation` what it describes (or what it does not), and compares the answers with what it promises."""
    answered: Counter[int] = Counter()

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def compare(case: Case[Any]) -> None:
        answer = case.call(base_url=base, session=session, timeout=60, allow_redirects=False)
        answered[answer.status_code] += 1
        assert answer.status_code < 500 or answer.status_code in ALLOWED_5XX, answer.text
        assert OF_USE & {name.lower() for name in answer.headers} <= announced(operation, answer.status_code)
        case.validate_response(answer, checks=PROMISES)  # type: ignore[arg-type]  # The registry has other kinds, too.

    compare()
    return answered


def test_every_route_does_what_the_description_says(secured: Secured, session: requests.Session) -> None:
    schema = schemathesis.openapi.from_url(f"{secured.base}/openapi.json")
    answered: Counter[int] = Counter()
    asked = set()
    for described in schema.get_all_operations():
        operation = described.ok()  # type: ignore[union-attr]  # Where the description is none, this raises.
        if operation.path == ENDLESS:
            continue
        asked.add(operation.path)
        answered += ask(operation, GenerationMode.POSITIVE, secured.base, session)
        if operation.path not in TAKES_ANYTHING:
            answered += ask(operation, GenerationMode.NEGATIVE, secured.base, session)
    assert asked > TAKES_ANYTHING
    assert answered[200 if "authorization" in session.headers else 401]
    assert '"defect"' not in secured.gateway.log
