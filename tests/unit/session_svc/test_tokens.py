"""Page tokens are opaque, safe in URLs, and bound to their request."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from session_svc.application.tokens import Request
from session_svc.domain.errors import InvalidPageToken

REQUEST = Request("List", ("query", [("label", "value")], True))


@given(place=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_a_token_gives_back_its_place_and_is_safe_in_a_url(place: str) -> None:
    token = REQUEST.seal(place)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    assert REQUEST.open(token) == place


@pytest.mark.parametrize(
    "other",
    [Request("Other", REQUEST.fields), Request("List", ("query2", [("label", "value")], True)), Request("List", ())],
)
def test_a_token_of_another_request_is_refused(other: Request) -> None:
    with pytest.raises(InvalidPageToken):
        other.open(REQUEST.seal("1:a"))


@given(token=st.text(max_size=60))
def test_garbage_is_refused(token: str) -> None:
    with pytest.raises(InvalidPageToken):
        REQUEST.open(token)


@given(place=st.text(st.characters(exclude_categories=["Cs"]), max_size=20), cut=st.integers(0, 11))
def test_a_token_cut_short_is_refused(place: str, cut: int) -> None:
    with pytest.raises(InvalidPageToken):
        REQUEST.open(REQUEST.seal(place)[:cut])
